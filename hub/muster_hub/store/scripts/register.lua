#!lua flags=allow-oom
-- Registers a connection again that its node still holds, under the number that it has: after the node's incarnation
-- got a tombstone, and from time to time so that what the hub has of a connected device does not expire.
-- KEYS: 1 device, 2 instances, 3 peers, 4 watchers, 5 grants, 6 uses, 7 stated, 8 enrolled
-- ARGV: 1 not_after (ms), 2 connection number, 3 role, 4 its row in instances, 5 instance id, 6 fingerprint,
--   7 client, 8 1: only enrolled devices may be connected
-- Effect: the row names the node's present incarnation; a row that does so keeps its time. An agent has the seat again,
--   if it is free.
-- Returns: {watching node, ...}, empty where nothing changed.
-- Errors: superseded (another connection has the place, the device has another key by now, or it is not enrolled).
-- Again: the same row stands there already.
-- Volatile: what is lost is registered again when the node, or its incarnation, changes.
local device, instances, peers, watchers, grants, uses, stated, enrolled = unpack(KEYS)
local _, connection, role, row_text, instance, fingerprint, client, only_enrolled = unpack(ARGV)

local held_fp, last_number = unpack(redis.call('HMGET', device, 'fp', 'conn'))
local unknown = only_enrolled == '1' and redis.call('HEXISTS', enrolled, client) == 0
if unknown or (held_fp and held_fp ~= fingerprint) then
  return refuse('superseded')
end
local clis = 0
local rows = redis.call('HGETALL', instances)
for i = 1, #rows, 2 do
  local row = cmsgpack.unpack(rows[i + 1])
  if rows[i] ~= connection then
    if row[INSTANCE.instance] == instance or (role == 'agent' and row[INSTANCE.role] == 'agent') then
      return refuse('superseded')
    end
    clis = clis + (row[INSTANCE.role] == 'cli' and 1 or 0)
  end
end
if role == 'cli' and clis >= MAX_CLI_INSTANCES then
  return refuse('superseded')
end
local mine, new = row_in(instances, connection), cmsgpack.unpack(row_text)
local watching = {}
if not mine or mine[INSTANCE.node] ~= new[INSTANCE.node] or mine[INSTANCE.incarnation] ~= new[INSTANCE.incarnation] then
  redis.call('HSET', instances, connection, row_text)
  watching = watching_nodes(watchers)
end
redis.call('HSET', device, 'conn', text(math.max(tonumber(last_number or 0), tonumber(connection))))
if role == 'agent' then
  redis.call('HSET', device, 'seat', connection)
end
keep_device(device, instances, peers, grants, uses, stated)
return watching
