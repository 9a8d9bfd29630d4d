#!lua
-- Holds a device for a join: what restricts it from now on cuts the session too, and its one-shot grants are taken.
-- KEYS: 1 device, 2 instances, 3 peers, 4 grants, 5 uses, 6 noted
-- ARGV: 1 not_after (ms), 2 session, 3 hard end of the session (ms), 4 connection that must be current or 0,
--   then for each peer: its name, and the invite for which a one-shot grant to it is held, or ''
-- Effect: notes the session until its end; marks each free one-shot grant that is asked for as held. A device that
--   never spoke of a peer, or that the hub does not know, is held for nothing.
-- Returns: what the script `facts` returns, as it is after the hold.
-- Errors: superseded (another connection is current), overloaded (MAX_NOTED sessions are noted).
-- Again: the session is noted already, and a grant held for this session and invite stays held for it, from now on; but
--   now two rely on the hold, and neither of them may end it by itself unless the seat was given.
local MAX_NOTED = 256
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if now_ms > tonumber(ARGV[1]) then
  return redis.error_reply('MUSTER late')
end
if ARGV[4] ~= '0' and redis.call('HEXISTS', KEYS[2], ARGV[4]) == 0 then
  return redis.error_reply('MUSTER superseded')
end

local known = redis.call('HMGET', KEYS[1], 'ver', 'standing', 'fp', 'compat', 'seat')
if known[3] and redis.call('HLEN', KEYS[3]) > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[6], '-inf', string.format('(%.0f', now_ms))
  if not redis.call('ZSCORE', KEYS[6], ARGV[2]) and redis.call('ZCARD', KEYS[6]) >= MAX_NOTED then
    return redis.error_reply('MUSTER overloaded')
  end
  redis.call('ZADD', KEYS[6], ARGV[3], ARGV[2])
  redis.call('PEXPIREAT', KEYS[6], redis.call('ZRANGE', KEYS[6], -1, -1, 'WITHSCORES')[2])
end

local said = {}
for i = 5, #ARGV, 2 do
  local trust, grant = redis.call('HGET', KEYS[3], ARGV[i]), redis.call('HGET', KEYS[4], ARGV[i])
  local row = trust and cmsgpack.unpack(trust)
  local given = grant and cmsgpack.unpack(grant)
  local use = redis.call('HGET', KEYS[5], given and given[4] or '')
  local taken = use and cmsgpack.unpack(use)
  local free = not taken or (taken[3] == 'held' and taken[1] == ARGV[2] and taken[2] == ARGV[i + 1])
  if ARGV[i + 1] ~= '' and given and given[1] == 'grant' and given[8] == 1 and free then
    local since_ms = taken and math.max(now_ms, taken[4] + 1) or now_ms
    use = cmsgpack.pack({ARGV[2], ARGV[i + 1], 'held', since_ms, taken and 1 or 0})
    redis.call('HSET', KEYS[5], given[4], use)
  end
  said[#said + 1] = row and row[1] == 'trust' and row[4] or ''
  said[#said + 1] = grant or ''
  said[#said + 1] = use or ''
end
return {
  known[1] or '0', known[2] or '', known[3] or '', known[4] or '', known[5] or '0',
  redis.call('HLEN', KEYS[3]), redis.call('HGETALL', KEYS[2]), said,
}
