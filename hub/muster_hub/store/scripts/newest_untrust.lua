#!lua flags=no-writes
-- Reads what a device said last of those of some peers that it trusts no longer.
-- KEYS: 1 peers of the device
-- ARGV: the peers
-- Effect: none.
-- Returns: the encoded Signed of the untrust with the highest serial, nil if there is none.
-- Again: it only reads.
local peers = unpack(KEYS)

local newest
for _, peer in ipairs(ARGV) do
  local row = row_in(peers, peer)
  if row and row[PEER.kind] == 'untrust' and (not newest or row[PEER.serial] > newest[PEER.serial]) then
    newest = row
  end
end
return newest and newest[PEER.signed]
