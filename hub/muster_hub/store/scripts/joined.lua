#!lua
-- Takes a member's word that it holds the key of an epoch.
-- KEYS: 1 session, 2 roster, 3 epochs, 4 sealed, 5 due of the bucket, 6 outbox of the bucket
-- ARGV: 1 not_after (ms), 2 session, 3 member, 4 its fingerprint, 5 hash of the epoch, 6 hash of the admission or '',
--   7 instance, 8 the statement, 9 record
-- Effect: a seated member is a joined one, and its admission is deleted; the statement is kept unless one for a later
--   epoch is there.
-- Returns: the roster: [client, row of every member in turn].
-- Errors: closed, not_a_member, mismatch (another epoch, or a seat that another admission gave).
-- Again: the member is joined already, and the same statement takes its own place.
local DAY_MS = 86400000
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if now_ms > tonumber(ARGV[1]) then
  return redis.error_reply('MUSTER late')
end
local session = redis.call('HMGET', KEYS[1], 'open', 'ends')
if session[1] ~= '1' or now_ms >= tonumber(session[2]) then
  return redis.error_reply('MUSTER closed')
end
local client = ARGV[3]
local packed = redis.call('HGET', KEYS[2], client)
local row = packed and cmsgpack.unpack(packed)
if not row or row[1] == 'out' or row[2] ~= ARGV[4] then
  return redis.error_reply('MUSTER not_a_member')
end
local number = tonumber(redis.call('HGET', KEYS[3], 'h:' .. ARGV[5]) or 0)
local held = redis.call('HMGET', KEYS[4], 'admh:' .. client, 'jn:' .. client)
if number == 0 or (row[1] == 'seated' and held[1] ~= ARGV[6]) then
  return redis.error_reply('MUSTER mismatch')
end
if row[1] == 'seated' then
  redis.call('HSET', KEYS[2], client, cmsgpack.pack({'joined', row[2], now_ms, '', row[5], row[6], ARGV[7]}))
  redis.call('HDEL', KEYS[4], 'adm:' .. client, 'admh:' .. client)
  redis.call('ZREM', KEYS[5], cmsgpack.pack({ARGV[2], client, row[5]}))
  redis.call('XADD', KEYS[6], '*', 'kind', 'record', 'data', ARGV[9])
end
if number >= tonumber(held[2] or 0) then
  redis.call('HSET', KEYS[4], 'joined:' .. client, ARGV[8], 'jn:' .. client, number)
  redis.call('PEXPIREAT', KEYS[4], string.format('%.0f', session[2] + DAY_MS))
end
return redis.call('HGETALL', KEYS[2])
