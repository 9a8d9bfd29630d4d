#!lua flags=no-writes
-- Reads what one member is shown of a session beyond its roster.
-- KEYS: 1 epochs, 2 sealed
-- ARGV: 1 member, 2 number of the last epoch that it has, 3 epochs at most, 4 bytes of epochs at most,
--   then the clients whose newest `joined` are read
-- Effect: none.
-- Returns: [epochs, lowest first], the member's sealed key of the newest epoch or '', its admission or '', [joined of
--   every client named, or ''].
-- Again: it only reads.
local epochs, bytes, number = {}, 0, tonumber(ARGV[2])
while #epochs < tonumber(ARGV[3]) do
  number = number + 1
  local epoch = redis.call('HGET', KEYS[1], string.format('%d', number))
  if not epoch or (#epochs > 0 and bytes + #epoch > tonumber(ARGV[4])) then
    break
  end
  epochs[#epochs + 1] = epoch
  bytes = bytes + #epoch
end
local joined = {}
for i = 5, #ARGV do
  joined[#joined + 1] = redis.call('HGET', KEYS[2], 'joined:' .. ARGV[i]) or ''
end
local own = redis.call('HMGET', KEYS[2], 'key:' .. ARGV[1], 'adm:' .. ARGV[1])
return {epochs, own[1] or '', own[2] or '', joined}
