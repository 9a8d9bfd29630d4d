#!lua
-- Makes a session with its creator as the only member and epoch 1.
-- KEYS: 1 session, 2 roster, 3 epochs, 4 outbox of the bucket
-- ARGV: 1 not_after (ms), 2 creator, 3 its fingerprint, 4 its instance, 5 seed, 6 mode, 7 profile or '', 8 kind,
--   9 hard end (ms), 10 hash of epoch 1, 11 epoch 1, 12 record
-- Effect: the session stands until a day after its hard end.
-- Returns: 1 when it was made now, 0 when this very session was made before.
-- Errors: taken (a session of that name with another first epoch).
-- Again: the same epoch 1 is found and nothing changes.
local DAY_MS = 86400000
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if now_ms > tonumber(ARGV[1]) then
  return redis.error_reply('MUSTER late')
end
if redis.call('EXISTS', KEYS[1]) == 1 then
  if redis.call('HGET', KEYS[3], 'h:' .. ARGV[10]) == '1' then
    return 0
  end
  return redis.error_reply('MUSTER taken')
end
redis.call('HSET', KEYS[1], 'creator', ARGV[2], 'seed', ARGV[5], 'mode', ARGV[6], 'profile', ARGV[7], 'kind', ARGV[8],
  'open', 1, 'created', string.format('%.0f', now_ms), 'ends', ARGV[9], 'epoch', 1, 'epoch_hash', ARGV[10])
redis.call('HSET', KEYS[2], ARGV[2], cmsgpack.pack({'joined', ARGV[3], now_ms, '', '', 0, ARGV[4]}))
redis.call('HSET', KEYS[3], '1', ARGV[11], 'h:' .. ARGV[10], 1, 'n:1', ARGV[10])
for i = 1, 3 do
  redis.call('PEXPIREAT', KEYS[i], string.format('%.0f', ARGV[9] + DAY_MS))
end
redis.call('XADD', KEYS[4], '*', 'kind', 'record', 'data', ARGV[12])
return 1
