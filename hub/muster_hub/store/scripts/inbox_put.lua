#!lua
-- Puts a push into a device's inbox, where it waits until it is acknowledged or expires.
-- KEYS: 1 inbox, 2 instances, 3 outbox of the bucket
-- ARGV: 1 not_after (ms), 2 client, 3 push id, 4 when it expires (ms), 5 frame, then ids of pushes that it replaces
-- Effect: the push waits, behind those that came before it, and the outbox has a notification to repeat in case the
--   first one is lost.
-- Returns: the instances, number and row in turn, to notify.
-- Errors: inbox_full (MAX_INBOX pushes wait already).
-- Again: a push that waits already keeps its place.
-- Volatile: a push that a failover lost is sent again, or read from the session.
local inbox, instances, outbox = unpack(KEYS)
local _, client, push, expires_text, frame = unpack(ARGV, 1, 5)
local FIRST_REPLACED = 6
local expires_ms = tonumber(expires_text)

local last, waiting, latest_ms = 0, 0, expires_ms
if #ARGV >= FIRST_REPLACED then
  redis.call('HDEL', inbox, unpack(ARGV, FIRST_REPLACED))
end
local rows = redis.call('HGETALL', inbox)
for i = 1, #rows, 2 do
  local row = cmsgpack.unpack(rows[i + 1])
  if row[PUSH.expires_ms] <= now_ms then
    redis.call('HDEL', inbox, rows[i])
  elseif rows[i] == push then
    return redis.call('HGETALL', instances)
  else
    last, waiting = math.max(last, row[PUSH.order]), waiting + 1
    latest_ms = math.max(latest_ms, row[PUSH.expires_ms])
  end
end
if waiting >= MAX_INBOX then
  return refuse('inbox_full')
end
local order = math.max(last + 1, now_ms * 1000)
redis.call('HSET', inbox, push, pack_row(PUSH, {order = order, expires_ms = expires_ms, frame = frame}))
add_entry(outbox, 'notify', pack_row(NOTIFY, {client = client}))
redis.call('PEXPIREAT', inbox, text(latest_ms))
return redis.call('HGETALL', instances)
