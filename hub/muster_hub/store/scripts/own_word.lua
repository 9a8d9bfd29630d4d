#!lua flags=no-writes
-- Reads the statement that restricted a device, where it is one by which a member goes.
-- KEYS: 1 device, 2 peers
-- ARGV: 1 why: untrust or rotation, 2 the peer of an untrust
-- Effect: none.
-- Returns: [the encoded Signed of the untrust, its serial], or [that of the card with the device's new key, 0]; nil if it
--   is there no more.
-- Again: it only reads.
local device, peers = unpack(KEYS)
local why, about = unpack(ARGV)
if why == 'rotation' then
  local card = redis.call('HGET', device, 'card')
  return card and {card, 0}
end
local row = row_in(peers, about)
return row and row[PEER.kind] == 'untrust' and {row[PEER.signed], row[PEER.serial]} or nil
