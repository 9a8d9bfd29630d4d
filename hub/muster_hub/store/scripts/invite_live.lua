#!lua
-- Makes invites live: one per session and device.
-- KEYS: 1 session, 2 judged
-- ARGV: 1 not_after (ms), 2 creator, then for each invite: device, invite, when it expires (ms)
-- Effect: each invite waits for its answer; one that was live for the same device is judged `cancelled`.
-- Returns: for each invite 'ok', 'replayed' (it was judged before) or 'too_many' (invites in this session).
-- Errors: closed (the session is over, or there is none), not_a_member (the caller did not create it).
-- Again: an invite that is live already stays as it is.
local MAX_INVITES_PER_SESSION, DAY_MS = 256, 86400000
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if now_ms > tonumber(ARGV[1]) then
  return redis.error_reply('MUSTER late')
end
local session = redis.call('HMGET', KEYS[1], 'creator', 'open', 'ends')
if session[2] ~= '1' or now_ms >= tonumber(session[3]) then
  return redis.error_reply('MUSTER closed')
end
if session[1] ~= ARGV[2] then
  return redis.error_reply('MUSTER not_a_member')
end

local function enter(client, invite, expires_ms)
  if redis.call('HEXISTS', KEYS[2], invite) == 1 then
    return 'replayed'
  end
  local live = redis.call('HGET', KEYS[2], 'live:' .. client)
  local before = live and cmsgpack.unpack(live)[1]
  if before == invite then
    return 'ok'
  end
  if redis.call('HLEN', KEYS[2]) >= MAX_INVITES_PER_SESSION then
    return 'too_many'
  end
  if before then
    redis.call('HSET', KEYS[2], before, 'cancelled')
  end
  redis.call('HSET', KEYS[2], 'live:' .. client, cmsgpack.pack({invite, 'sent', tonumber(expires_ms), ''}))
  return 'ok'
end

local words = {}
for i = 3, #ARGV, 3 do
  words[#words + 1] = enter(ARGV[i], ARGV[i + 1], ARGV[i + 2])
end
redis.call('PEXPIREAT', KEYS[2], string.format('%.0f', session[3] + DAY_MS))
return words
