#!lua flags=no-writes
-- Reads what the hub knows of one device, and what that device says about the peers named.
-- KEYS: 1 device, 2 instances, 3 peers, 4 grants, 5 uses
-- ARGV: the peers, one each
-- Effect: none.
-- Returns: ver, standing, fingerprint, compatibility, number of the agent seat, how many peers it spoke about,
--   [number, row of every instance in turn], [pin or '', grant row or '', use row or '' for every peer in turn].
-- Again: it only reads. The same commands run whatever is there, so that their cost tells a stranger nothing.
local known = redis.call('HMGET', KEYS[1], 'ver', 'standing', 'fp', 'compat', 'seat')
local facts = {
  known[1] or '0', known[2] or '', known[3] or '', known[4] or '', known[5] or '0',
  redis.call('HLEN', KEYS[3]), redis.call('HGETALL', KEYS[2]),
}
local said = {}
for _, peer in ipairs(ARGV) do
  local trust, grant = redis.call('HGET', KEYS[3], peer), redis.call('HGET', KEYS[4], peer)
  local row = trust and cmsgpack.unpack(trust)
  said[#said + 1] = row and row[1] == 'trust' and row[4] or ''
  said[#said + 1] = grant or ''
  said[#said + 1] = redis.call('HGET', KEYS[5], grant and cmsgpack.unpack(grant)[4] or '') or ''
end
facts[#facts + 1] = said
return facts
