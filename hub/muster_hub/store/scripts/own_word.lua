#!lua flags=no-writes
-- Reads the statement that restricted a device, where it is one by which a member goes.
-- KEYS: 1 device, 2 peers
-- ARGV: 1 why: untrust or rotation, 2 the peer of an untrust
-- Effect: none.
-- Returns: the encoded Signed of the untrust, or of the card with the device's new key; nil if it is there no more.
-- Again: it only reads.
local device, peers = unpack(KEYS)
local why, about = unpack(ARGV)
if why == 'rotation' then
  return redis.call('HGET', device, 'card')
end
local row = row_in(peers, about)
return row and row[PEER.kind] == 'untrust' and row[PEER.signed] or nil
