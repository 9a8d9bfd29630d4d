#!lua
-- Takes a device's card.
-- KEYS: 1 device, 2 instances, 3 peers, 4 outbox
-- ARGV: 1 not_after (ms), 2 connection number, 3 card (encoded Signed), 4 serial, 5 hash, 6 compat row, 7 client
-- Effect: the higher serial counts, then the higher hash. Who trusts nobody has no card kept; what it can do is noted.
--   A card that is kept is recorded.
-- Returns: {verdict, {trusted peer, ...}}; the verdict is "taken", "known", "older", "mismatch" or "superseded".
-- Again: "known".
local time = redis.call('TIME')
if time[1] * 1000 + math.floor(time[2] / 1000) > tonumber(ARGV[1]) then
  return redis.error_reply('MUSTER late')
end

local device, serial, hash = KEYS[1], tonumber(ARGV[4]), ARGV[5]
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 0 then
  return {'superseded', {}}
end

-- The store compares strings by its locale; hashes are compared by their bytes.
local function above(one, other)
  for i = 1, #one do
    local difference = one:byte(i) - (other:byte(i) or -1)
    if difference ~= 0 then
      return difference > 0
    end
  end
  return false
end

local held = redis.call('HMGET', device, 'card_serial', 'card_hash', 'serial')
local held_serial, verdict, wins = tonumber(held[1] or 0), 'taken', true
if serial < held_serial then
  verdict, wins = 'older', false
elseif serial == held_serial then
  verdict = hash == held[2] and 'known' or 'mismatch'
  wins = verdict == 'mismatch' and above(hash, held[2])
end
if not wins then
  return {verdict, {}}
end
redis.call('HSET', device, 'compat', ARGV[6])
if redis.call('EXISTS', KEYS[3]) == 0 then
  return {verdict, {}}
end
redis.call('HSET', device, 'card', ARGV[3], 'card_serial', ARGV[4], 'card_hash', hash, 'serial',
  string.format('%.0f', math.max(serial, tonumber(held[3] or 0))))

redis.call('XADD', KEYS[4], '*', 'kind', 'record', 'data', cmsgpack.pack({'card', ARGV[7], '', '', 'done', '', hash}))

local trusted, rows = {}, redis.call('HGETALL', KEYS[3])
for i = 1, #rows, 2 do
  if cmsgpack.unpack(rows[i + 1])[1] == 'trust' then
    trusted[#trusted + 1] = rows[i]
  end
end
return {verdict, trusted}
