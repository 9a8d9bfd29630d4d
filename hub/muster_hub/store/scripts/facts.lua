#!lua flags=no-writes
-- Reads what the hub knows of one device, and what that device states about the peers named.
-- KEYS: 1 device, 2 instances, 3 peers, 4 grants, 5 uses
-- ARGV: the peers, one each
-- Effect: none.
-- Returns: ver, standing, fingerprint, compatibility, number of the agent seat, how many peers it has statements about,
--   [number, row of every instance in turn], [pin or '', grant row or '', use row or '' for every peer in turn].
-- Again: it only reads. The same commands run for every device, known or not, so that their cost tells a stranger
--   nothing.
local device, instances, peers, grants, uses = unpack(KEYS)
local ver, standing, fingerprint, compat, seat =
  unpack(redis.call('HMGET', device, 'ver', 'standing', 'fp', 'compat', 'seat'))
local facts = {
  ver or '0', standing or '', fingerprint or '', compat or '', seat or '0',
  redis.call('HLEN', peers), redis.call('HGETALL', instances),
}
local stated = {}
for _, peer in ipairs(ARGV) do
  local row, packed = row_in(peers, peer), redis.call('HGET', grants, peer)
  local grant = packed and cmsgpack.unpack(packed)
  stated[#stated + 1] = row and row[PEER.kind] == 'trust' and row[PEER.fingerprint] or ''
  stated[#stated + 1] = packed or ''
  stated[#stated + 1] = redis.call('HGET', uses, grant and grant[GRANT.grant_id] or '') or ''
end
facts[#facts + 1] = stated
return facts
