#!lua
-- Looks at a device for somebody who asks about its presence, and may note that a node watches it for them.
-- KEYS: 1 device, 2 instances, 3 peers, 4 watchers
-- ARGV: 1 asker, 2 asker's fingerprint, 3 not_after (ms), 4 watching node ("": none), 5 how long it watches (ms)
-- Effect: where the device trusts the asker under that fingerprint, the node is told of changes for that long. The
--   call is the same for a stranger, and leaves nothing behind.
-- Returns: {its row about the asker or "", last seen (ms, 0: never) as text, cause, {number, row, ...}, when it is
--   expected back (ms, 0: it is not) as text}.
-- Again: the node is told for as long, counted from then.
-- Volatile: a node that watches says so again every half minute.
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if now_ms > tonumber(ARGV[3]) then
  return redis.error_reply('MUSTER late')
end

local about = redis.call('HGET', KEYS[3], ARGV[1]) or ''
local held = redis.call('HMGET', KEYS[1], 'last_seen', 'cause', 'back_by')
local rows = redis.call('HGETALL', KEYS[2])
if ARGV[4] ~= '' and about ~= '' then
  local row = cmsgpack.unpack(about)
  if row[1] == 'trust' and row[4] == ARGV[2] then
    local watchers = redis.call('HGETALL', KEYS[4])
    for i = 1, #watchers, 2 do
      if tonumber(watchers[i + 1]) <= now_ms then
        redis.call('HDEL', KEYS[4], watchers[i])
      end
    end
    redis.call('HSET', KEYS[4], ARGV[4], string.format('%.0f', now_ms + tonumber(ARGV[5])))
    redis.call('PEXPIRE', KEYS[4], ARGV[5])
  end
end
return {about, held[1] or '0', held[2] or '', rows, held[3] or '0'}
