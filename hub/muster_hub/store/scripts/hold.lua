#!lua
-- Holds a device for a join: what restricts it from now on cuts the session too, and its one-shot grants are taken.
-- KEYS: 1 device, 2 instances, 3 peers, 4 grants, 5 uses, 6 session_index
-- ARGV: 1 not_after (ms), 2 session id, 3 hard end of the session (ms), 4 the session's creator, 5 the creator's key,
--   6 the device, 7 connection that must be current or 0,
--   then for each peer: its client id, and the invite for which a one-shot grant to it is held, or ''
-- Effect: the session is in the index until its end, the hold is counted, a new one of the device's own is counted, and
--   each free one-shot grant that is asked for is held. All only where the device's own row trusts the creator under that
--   key. The creator is held if it has a statement about any peer. All others are held for nothing, and nothing is written
--   for them.
-- Returns: what the script `facts` returns, as it is after the hold, then '' or the word for which the device is not held,
--   though it would be: superseded (another connection is current), overloaded (MAX_INDEXED_SESSIONS are in the index,
--   or MAX_INDEXED_PER_CREATOR of this creator, which is another device). No error: other devices are held beside it.
-- Errors: too_many_sessions (the device made SESSIONS_A_DAY; the next is allowed after SESSION_EVERY_MS at most).
-- Again: the session is in the index already, and a grant held for this session and invite stays held for it, from now
--   on; but now two requests rely on the hold, and neither of them may end it by itself unless the seat was given.
local device, instances, peers, grants, uses, session_index = unpack(KEYS)
local _, sid, ends_ms, creator, creator_fp, client, connection = unpack(ARGV, 1, 7)
local FIRST_PEER = 8

local ver, standing, fingerprint, compat, seat =
  unpack(redis.call('HMGET', device, 'ver', 'standing', 'fp', 'compat', 'seat'))
local about_creator = row_in(peers, creator)
local holds = about_creator and about_creator[PEER.kind] == 'trust' and about_creator[PEER.fingerprint] == creator_fp
if client == creator then
  holds = fingerprint and redis.call('HLEN', peers) > 0
end
local entry, prevented = sid .. ' ' .. creator, ''
if connection ~= '0' and redis.call('HEXISTS', instances, connection) == 0 then
  prevented = 'superseded'
elseif holds then
  redis.call('ZREMRANGEBYSCORE', session_index, '-inf', '(' .. text(now_ms))
  local is_new = not redis.call('ZSCORE', session_index, entry)
  local held = is_new and redis.call('ZRANGE', session_index, 0, -1) or {}
  local of_creator = 0
  for _, other in ipairs(held) do
    of_creator = of_creator + (other:sub(-#creator) == creator and 1 or 0)
  end
  if #held >= MAX_INDEXED_SESSIONS or (client ~= creator and of_creator >= MAX_INDEXED_PER_CREATOR) then
    prevented = 'overloaded'
  elseif is_new and client == creator then
    -- One session in SESSION_EVERY_MS, a day of them at once, by GCRA: `sessions_tat_ms` is its theoretical arrival
    -- time. Sessions that have ended count too: the store still holds them.
    local tat_ms = math.max(now_ms, tonumber(redis.call('HGET', device, 'sessions_tat_ms') or 0)) + SESSION_EVERY_MS
    if tat_ms > now_ms + DAY_MS then
      return refuse('too_many_sessions')
    end
    redis.call('HSET', device, 'sessions_tat_ms', text(tat_ms))
  end
end
holds = holds and prevented == ''
if holds then
  redis.call('HINCRBY', device, 'holds', 1)
  redis.call('ZADD', session_index, 'GT', ends_ms, entry)
  redis.call('PEXPIREAT', session_index, redis.call('ZRANGE', session_index, -1, -1, 'WITHSCORES')[2])
end

local stated = {}
for i = FIRST_PEER, #ARGV, 2 do
  local peer, invite = ARGV[i], ARGV[i + 1]
  local row, packed = row_in(peers, peer), redis.call('HGET', grants, peer)
  local grant = packed and cmsgpack.unpack(packed)
  local packed_use = redis.call('HGET', uses, grant and grant[GRANT.grant_id] or '')
  local use = packed_use and cmsgpack.unpack(packed_use)
  local ours = use and use[USE.state] == 'held' and use[USE.session] == sid and use[USE.invite] == invite
  local one_shot = grant and grant[GRANT.kind] == 'grant' and grant[GRANT.uses] == 1
  if holds and invite ~= '' and one_shot and (not use or ours) then
    packed_use = pack_row(USE, {session = sid, invite = invite, state = 'held',
      since_ms = use and math.max(now_ms, use[USE.since_ms] + 1) or now_ms, shared = use and 1 or 0})
    redis.call('HSET', uses, grant[GRANT.grant_id], packed_use)
    redis.call('PEXPIRE', uses, DEVICE_KEPT_MS)
  end
  stated[#stated + 1] = row and row[PEER.kind] == 'trust' and row[PEER.fingerprint] or ''
  stated[#stated + 1] = packed or ''
  stated[#stated + 1] = packed_use or ''
end
return {
  ver or '0', standing or '', fingerprint or '', compat or '', seat or '0',
  redis.call('HLEN', peers), redis.call('HGETALL', instances), stated, prevented,
}
