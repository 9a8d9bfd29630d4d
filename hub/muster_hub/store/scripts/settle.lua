#!lua flags=allow-oom
-- Ends holds on one-shot grants: the use is spent, or free again.
-- KEYS: 1 uses
-- ARGV: 1 not_after (ms), then for each hold: grant id, session, invite, since when (ms), 'spent' or 'free'
-- Effect: a hold for that session and invite becomes spent, or is deleted unless it was taken anew since; any other use
--   stays as it is.
-- Returns: how many holds ended.
-- Again: what is spent or free already is no hold any more.
-- Memory full: runs, it makes nothing larger.
local time = redis.call('TIME')
if time[1] * 1000 + math.floor(time[2] / 1000) > tonumber(ARGV[1]) then
  return redis.error_reply('MUSTER late')
end
local ended = 0
for i = 2, #ARGV, 5 do
  local held = redis.call('HGET', KEYS[1], ARGV[i])
  local use = held and cmsgpack.unpack(held)
  local ours = use and use[3] == 'held' and use[1] == ARGV[i + 1] and use[2] == ARGV[i + 2]
  if ours and ARGV[i + 4] == 'spent' then
    ended = ended + 1
    redis.call('HSET', KEYS[1], ARGV[i], cmsgpack.pack({use[1], use[2], 'spent', use[4], 0}))
  elseif ours and use[4] <= tonumber(ARGV[i + 3]) then
    ended = ended + 1
    redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
return ended
