#!lua flags=no-writes
-- Reads a session, its roster, and how its invites to the devices named stand.
-- KEYS: 1 session, 2 roster, 3 judged
-- ARGV: the devices, one each
-- Effect: none.
-- Returns: nil when there is no such session; else [creator, seed, mode, profile, kind, open, created, ends, epoch,
--   epoch hash], [client, row of every member in turn], [live invite's row or '' for every device named].
-- Again: it only reads.
local known = redis.call('HMGET', KEYS[1], 'creator', 'seed', 'mode', 'profile', 'kind', 'open', 'created', 'ends',
  'epoch', 'epoch_hash')
if not known[1] then
  return nil
end
local live = {}
for i, client in ipairs(ARGV) do
  live[i] = redis.call('HGET', KEYS[3], 'live:' .. client) or ''
end
return {known, redis.call('HGETALL', KEYS[2]), live}
