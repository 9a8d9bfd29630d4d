#!lua flags=no-writes
-- Reads what the hub holds of a session for one current or former member.
-- KEYS: 1 session, 2 roster, 3 epochs, 4 sealed
-- ARGV: 1 client, 2 number of the last epoch that it has, 3 epochs at most, 4 bytes of epochs at most
-- Effect: none.
-- Returns: nil unless the client is in the roster of such a session; else what the script `session_state` returns,
--   [epochs, lowest first], its sealed key of the newest epoch or '', its admission or '', [client, newest `joined` of
--   every one that said it, in turn], [client, packed
--   [kind, statement] by which it went, of every one that said it, in turn].
-- Again: it only reads.
local session, roster, epochs, sealed = unpack(KEYS)
local client, after, max_epochs, max_bytes = unpack(ARGV)

if redis.call('HEXISTS', roster, client) == 0 then
  return nil
end
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
local rows = redis.call('HGETALL', roster)
local function said(kind)
  local found = {}
  for i = 1, #rows, 2 do
    local statement = redis.call('HGET', sealed, kind .. rows[i])
    if statement then
      found[#found + 1] = rows[i]
      found[#found + 1] = statement
    end
  end
  return found
end
local key, admission = unpack(redis.call('HMGET', sealed, 'key:' .. client, 'adm:' .. client))
return {session_fields(session), rows, found, key or '', admission or '', said('joined:'), said('left:')}
