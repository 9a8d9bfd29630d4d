#!lua flags=no-writes
-- Reads what one member is shown of a session beyond its roster.
-- KEYS: 1 epochs, 2 sealed
-- ARGV: 1 client, 2 number of the last epoch that it has, 3 epochs at most, 4 bytes of epochs at most,
--   then the clients whose newest `joined` are read
-- Effect: none.
-- Returns: [epochs, lowest first], the member's sealed key of the newest epoch or '', its admission or '', [joined of
--   every client named, or ''].
-- Again: it only reads.
local epochs, sealed = unpack(KEYS)
local client, after, max_epochs, max_bytes = unpack(ARGV, 1, 4)
local FIRST_JOINED = 5

local found, bytes, number = {}, 0, tonumber(after)
while #found < tonumber(max_epochs) do
  number = number + 1
  local epoch = redis.call('HGET', epochs, text(number))
  if not epoch or (#found > 0 and bytes + #epoch > tonumber(max_bytes)) then
    break
  end
  found[#found + 1] = epoch
  bytes = bytes + #epoch
end
local joined = {}
for i = FIRST_JOINED, #ARGV do
  joined[#joined + 1] = redis.call('HGET', sealed, 'joined:' .. ARGV[i]) or ''
end
local key, admission = unpack(redis.call('HMGET', sealed, 'key:' .. client, 'adm:' .. client))
return {found, key or '', admission or '', joined}
