#!lua flags=allow-oom
-- Takes a device's answer to an invite.
-- KEYS: 1 session, 2 judged, 3 roster, 4 sealed, 5 due of the bucket, 6 outbox of the bucket
-- ARGV: 1 not_after (ms), 2 device, 3 invite, 4 'accept' or the reason of a refusal, 5 hash of the answer,
--   6 record of a refusal or empty, 7 session, 8 the device that the answer is for
-- Effect: an accepted invite waits for its seat; a refused one is over. `cannot_open` after the seat, and before
--   `joined`, takes the member out.
-- Returns: 'ok', 'seated' (this invite led to a seat before), 'out' (a seat was given up now); or why not: 'expired',
--   'cancelled', 'session_closed', 'replayed' (another answer came first), 'mismatch' (no such session or invite),
--   'wrong_recipient' (not for the session's creator).
-- Again: the same answer finds itself and gets the same word; nothing is recorded twice.
-- Memory full: runs, a refusal must be taken.
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if now_ms > tonumber(ARGV[1]) then
  return redis.error_reply('MUSTER late')
end
local client, invite, word, hash = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local session = redis.call('HMGET', KEYS[1], 'open', 'ends', 'creator')
if not session[3] then
  return 'mismatch'
end
if session[3] ~= ARGV[8] then
  return 'wrong_recipient'
end

local function judge(outcome)
  redis.call('HDEL', KEYS[2], 'live:' .. client)
  redis.call('HSET', KEYS[2], invite, outcome)
  redis.call('XADD', KEYS[6], '*', 'kind', 'record', 'data', ARGV[6])
end

local function answer_live(live)
  if session[1] ~= '1' or now_ms >= tonumber(session[2]) then
    return 'session_closed'
  end
  if live[2] == 'sent' and now_ms >= live[3] then
    redis.call('HDEL', KEYS[2], 'live:' .. client)
    redis.call('HSET', KEYS[2], invite, 'expired')
    return 'expired'
  end
  if word ~= 'accept' then
    judge(word)
    return 'ok'
  end
  if live[2] == 'answered' then
    return live[4] == hash and 'ok' or 'replayed'
  end
  redis.call('HSET', KEYS[2], 'live:' .. client, cmsgpack.pack({invite, 'answered', live[3], hash}))
  return 'ok'
end

local function give_up_seat()
  local packed = redis.call('HGET', KEYS[3], client)
  local row = packed and cmsgpack.unpack(packed)
  if not row or row[5] ~= invite then
    return 'mismatch'
  end
  if row[1] == 'seated' then
    redis.call('HSET', KEYS[3], client, cmsgpack.pack({'out', row[2], now_ms, 'cannot_open', row[5], row[6], row[7]}))
    redis.call('HDEL', KEYS[4], 'key:' .. client, 'adm:' .. client, 'admh:' .. client)
    redis.call('ZREM', KEYS[5], cmsgpack.pack({ARGV[7], client, invite}))
    redis.call('XADD', KEYS[6], '*', 'kind', 'record', 'data', ARGV[6])
    return 'out'
  end
  return row[4] == 'cannot_open' and 'out' or 'replayed'
end

local packed = redis.call('HGET', KEYS[2], 'live:' .. client)
local live = packed and cmsgpack.unpack(packed)
if live and live[1] == invite then
  return answer_live(live)
end
local outcome = redis.call('HGET', KEYS[2], invite)
if outcome == 'seated' then
  return word == 'cannot_open' and give_up_seat() or 'seated'
end
if not outcome then
  return 'mismatch'
end
if outcome == word then
  return 'ok'
end
local ended = {expired = true, cancelled = true, session_closed = true}
return ended[outcome] and outcome or 'replayed'
