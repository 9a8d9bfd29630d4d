#!lua
-- Puts a push into a device's inbox, where it waits until it is acknowledged or expires.
-- KEYS: 1 inbox, 2 acknowledged, 3 instances, 4 peers, 5 outbox of the bucket
-- ARGV: 1 not_after (ms), 2 client, 3 push id, 4 when it expires (ms), 5 frame, 6 the device that it comes from,
--   7 the key of that device, then ids of pushes that it replaces
-- Effect: where the device's own row trusts the sender under that key, the push waits behind those that came before it,
--   and the outbox has a notification to repeat in case the first one is lost. Else nothing is written.
-- Returns: the instances, number and row in turn, to notify; none where nothing waits.
-- Errors: inbox_full (MAX_INBOX pushes wait already, or MAX_INBOX_PER_SENDER of this sender).
-- Again: a push that waits already keeps its place, and one that was acknowledged stays so.
-- Volatile: a push that a failover lost is sent again.
local inbox, acknowledged, instances, peers, outbox = unpack(KEYS)
local _, client, push, expires_text, frame, sender, sender_fp = unpack(ARGV, 1, 7)
local FIRST_REPLACED = 8
local expires_ms = tonumber(expires_text)

local about = row_in(peers, sender)
if not about or about[PEER.kind] ~= 'trust' or about[PEER.fingerprint] ~= sender_fp then
  return {}
end
local last, waiting, of_sender, latest_ms = 0, 0, 0, expires_ms
if #ARGV >= FIRST_REPLACED then
  redis.call('HDEL', inbox, unpack(ARGV, FIRST_REPLACED))
end
local acknowledged_ms = tonumber(redis.call('ZSCORE', acknowledged, push) or 0)
if acknowledged_ms + ACKNOWLEDGED_KEPT_MS > now_ms then
  return {}
end
local rows = redis.call('HGETALL', inbox)
for i = 1, #rows, 2 do
  local row = cmsgpack.unpack(rows[i + 1])
  if row[PUSH.expires_ms] <= now_ms then
    redis.call('HDEL', inbox, rows[i])
  elseif rows[i] == push then
    return redis.call('HGETALL', instances)
  else
    waiting = waiting + 1
    of_sender = of_sender + (row[PUSH.sender] == sender and 1 or 0)
    last, latest_ms = math.max(last, row[PUSH.order]), math.max(latest_ms, row[PUSH.expires_ms])
  end
end
if waiting >= MAX_INBOX or of_sender >= MAX_INBOX_PER_SENDER then
  return refuse('inbox_full')
end
local order = math.max(last + 1, now_ms * 1000)
redis.call('HSET', inbox, push, pack_row(PUSH, {order = order, expires_ms = expires_ms, frame = frame,
  sender = sender}))
add_entry(outbox, 'notify', pack_row(NOTIFY, {client = client}))
redis.call('PEXPIREAT', inbox, text(latest_ms))
return redis.call('HGETALL', instances)
