#!lua flags=allow-oom
-- Takes a member out of a session.
-- KEYS: 1 session, 2 roster, 3 sealed, 4 due of the bucket, 5 outbox of the bucket
-- ARGV: 1 not_after (ms), 2 session, 3 member, 4 its fingerprint or '' for any, 5 reason or '',
--   6 '' or the invite whose seat, never joined, is taken back, 7 record
-- Effect: the member is out, and nothing is held for it any more. A session without members is closed.
-- Returns: [1 when it is out by this call, else 0], [client, row of every member in turn].
-- Errors: not_a_member (it never was one, under that key).
-- Again: the member is out already and nothing changes. One that was seated anew by another invite stays.
-- Memory full: runs, to leave must always do.
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if now_ms > tonumber(ARGV[1]) then
  return redis.error_reply('MUSTER late')
end
local client, invite = ARGV[3], ARGV[6]
redis.call('ZREM', KEYS[4], cmsgpack.pack({ARGV[2], client, invite}))
local packed = redis.call('HGET', KEYS[2], client)
local row = packed and cmsgpack.unpack(packed)
if not row or (ARGV[4] ~= '' and row[2] ~= ARGV[4]) then
  return redis.error_reply('MUSTER not_a_member')
end
local goes = row[1] ~= 'out' and (invite == '' or (row[1] == 'seated' and row[5] == invite))
if goes then
  redis.call('HSET', KEYS[2], client, cmsgpack.pack({'out', row[2], now_ms, ARGV[5], row[5], row[6], row[7]}))
  redis.call('HDEL', KEYS[3], 'key:' .. client, 'adm:' .. client, 'admh:' .. client, 'joined:' .. client, 'jn:' .. client)
  redis.call('ZREM', KEYS[4], cmsgpack.pack({ARGV[2], client, row[5]}))
  redis.call('XADD', KEYS[5], '*', 'kind', 'record', 'data', ARGV[7])
end
local rows, members = redis.call('HGETALL', KEYS[2]), 0
for i = 2, #rows, 2 do
  members = members + (cmsgpack.unpack(rows[i])[1] == 'out' and 0 or 1)
end
if members == 0 then
  redis.call('HSET', KEYS[1], 'open', 0)
end
return {goes and 1 or 0, rows}
