#!lua flags=allow-oom
-- Carries a restriction of one device into one session that it was held for.
-- KEYS: 1 session, 2 roster, 3 floors, 4 sealed, 5 due of the bucket, 6 outbox of the bucket
-- ARGV: 1 not_after (ms), 2 session, 3 device, 4 its ver after the restriction, 5 why: trust, untrust, grant, revocation,
--   rotation or clone_suspected, 6 the peer, or the device's new fingerprint after a rotation, or '',
--   7 record of a member taken out, its subject and reason still to be filled in
-- Effect: no join commits over an older ver of the device. After `untrust`: the creator's word takes the peer out; a
--   member's word about the creator, or in a mesh about any member, takes that member out itself. After `rotation`: the
--   device is out if it sits under another key. All else takes nobody out.
-- Returns: [client, reason of each member out by this call], [client, row of every member in turn].
-- Again: the floor is the highest seen, and each ver takes members out once, so that a cut repeated from the outbox does
--   not touch a member who was trusted and seated anew since.
-- Memory full: runs, it restricts.
local DAY_MS, MAX_DONE = 86400000, 64
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if now_ms > tonumber(ARGV[1]) then
  return redis.error_reply('MUSTER late')
end
local device, ver, why, about = ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
local session = redis.call('HMGET', KEYS[1], 'creator', 'kind', 'ends')
if not session[1] then
  return {{}, {}}
end

local floor = redis.call('HGET', KEYS[3], device)
if not floor or tonumber(floor) < ver then
  redis.call('HSET', KEYS[3], device, ARGV[4])
end
-- The vers whose cut was made here, newest last: what is older than a full list was made long ago.
local list = redis.call('HGET', KEYS[3], 'done:' .. device)
local done = list and cmsgpack.unpack(list) or {}
local again = #done >= MAX_DONE and ver < done[1]
for _, made in ipairs(done) do
  again = again or made == ver
end
if not again then
  done[#done + 1] = ver
  table.sort(done)
  if #done > MAX_DONE then
    table.remove(done, 1)
  end
  redis.call('HSET', KEYS[3], 'done:' .. device, cmsgpack.pack(done))
end
redis.call('PEXPIREAT', KEYS[3], string.format('%.0f', session[3] + DAY_MS))

local function row_of(client)
  local packed = redis.call('HGET', KEYS[2], client)
  local row = packed and cmsgpack.unpack(packed)
  return row and row[1] ~= 'out' and row
end
local out = {}
local function take_out(client, reason)
  local row = row_of(client)
  if row then
    redis.call('HSET', KEYS[2], client, cmsgpack.pack({'out', row[2], now_ms, reason, row[5], row[6], row[7]}))
    redis.call('HDEL', KEYS[4], 'key:' .. client, 'adm:' .. client, 'admh:' .. client, 'joined:' .. client, 'jn:' .. client)
    redis.call('ZREM', KEYS[5], cmsgpack.pack({ARGV[2], client, row[5]}))
    local record = cmsgpack.unpack(ARGV[7])
    record[3], record[6] = client, reason
    redis.call('XADD', KEYS[6], '*', 'kind', 'record', 'data', cmsgpack.pack(record))
    out[#out + 1] = client
    out[#out + 1] = reason
  end
end

if not again and why == 'untrust' then
  if device == session[1] then
    take_out(about, 'not_trusted')
  elseif about == session[1] or (session[2] == 'mesh' and row_of(about)) then
    take_out(device, 'not_trusted')
  end
elseif not again and why == 'rotation' then
  local row = row_of(device)
  if row and row[2] ~= about then
    take_out(device, 'key_mismatch')
  end
end
return {out, redis.call('HGETALL', KEYS[2])}
