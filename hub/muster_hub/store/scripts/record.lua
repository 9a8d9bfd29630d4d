#!lua flags=allow-oom
-- Writes a record of something that changed nothing else, such as a refusal.
-- KEYS: 1 outbox of the bucket
-- ARGV: 1 not_after (ms), 2 record
-- Effect: the record stands in the outbox.
-- Returns: 1.
-- Again: the record stands there twice. The hub never repeats the call, and a device that asks again is refused again.
-- Memory full: runs, the outbox is trimmed as it is drained.
local time = redis.call('TIME')
if time[1] * 1000 + math.floor(time[2] / 1000) > tonumber(ARGV[1]) then
  return redis.error_reply('MUSTER late')
end
redis.call('XADD', KEYS[1], '*', 'kind', 'record', 'data', ARGV[2])
return 1
