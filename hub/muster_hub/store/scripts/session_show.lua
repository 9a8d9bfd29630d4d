#!lua flags=no-writes
-- Reads what the hub holds of a session for one current or former member.
-- KEYS: 1 session, 2 roster, 3 epochs, 4 sealed
-- ARGV: 1 client, 2 number of the last epoch that it has, 3 epochs at most, 4 bytes of epochs at most
-- Effect: none.
-- Returns: nil unless the client is in the roster of such a session; else what the script `session_state` returns,
--   [epochs, lowest first, for one who is out none after its end], its sealed key of the newest epoch or '', its
--   admission or '', [client, newest `joined` of every one that said it, in turn], [client, packed [kind, statement] by
--   which it went, of every one that said it, in turn].
-- Again: it only reads.
local session, roster, epochs, sealed = unpack(KEYS)
local client, after, max_epochs, max_bytes = unpack(ARGV)

local mine = row_in(roster, client)
if not mine then
  return nil
end
local found, bytes = {}, 0
for _, number in ipairs(numbers_after(epochs, tonumber(after))) do
  local epoch = redis.call('HGET', epochs, number)
  local later = mine[MEMBER.state] == 'out' and number > mine[MEMBER.last_epoch]
  if later or #found == tonumber(max_epochs) or (#found > 0 and bytes + #epoch > tonumber(max_bytes)) then
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
