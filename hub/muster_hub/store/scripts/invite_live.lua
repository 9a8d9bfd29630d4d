#!lua
-- Makes invites live: one per session and device.
-- KEYS: 1 session, 2 invite_outcomes, 3 minimum_versions
-- ARGV: 1 not_after (ms), 2 creator, 3 its ver when the invites were decided, then for each invite: client, invite,
--   when it expires (ms), its hash, its purpose
-- Effect: each invite waits for its answer; one that was live for the same device ends as `cancelled`.
-- Returns: for each invite 'ok', 'replayed' (its id has ended before, or is live with other bytes) or 'too_many'
--   (MAX_INVITES_PER_SESSION in this session, or MAX_INVITES_PER_TARGET to this device).
-- Errors: closed (the session is over, or there is none), not_a_member (the caller did not create it), stale (the
--   creator took something back since the invites were decided).
-- Again: an invite that is live already stays as it is.
local session, invite_outcomes, minimum_versions = unpack(KEYS)
local _, caller, ver = unpack(ARGV, 1, 3)
local FIRST_INVITE = 4

local creator, open, ends_ms = unpack(redis.call('HMGET', session, 'creator', 'open', 'ends'))
if open ~= '1' or now_ms >= tonumber(ends_ms) then
  return refuse('closed')
end
if creator ~= caller then
  return refuse('not_a_member')
end
if tonumber(redis.call('HGET', minimum_versions, caller) or 0) > tonumber(ver) then
  return refuse('stale')
end

local ended, named = count_invites(invite_outcomes)
local function has_room(client, before)
  return (ended[client] or 0) + (before and 1 or 0) < MAX_INVITES_PER_TARGET
    and redis.call('HLEN', invite_outcomes) < MAX_INVITES_PER_SESSION
end

local function enter(client, invite, expires_ms, hash, purpose)
  if redis.call('HEXISTS', invite_outcomes, invite) == 1 then
    return 'replayed'
  end
  local live = row_in(invite_outcomes, 'live:' .. client)
  local before = live and live[LIVE_INVITE.invite]
  if before == invite then
    return live[LIVE_INVITE.hash] == hash and 'ok' or 'replayed'
  end
  -- How an invite ended is kept under its id alone, so an id is of one device.
  if named[invite] then
    return 'replayed'
  end
  if not has_room(client, before) then
    return 'too_many'
  end
  if before then
    end_invite(invite_outcomes, client, before, 'cancelled', '')
  end
  redis.call('HSET', invite_outcomes, 'live:' .. client, pack_row(LIVE_INVITE, {invite = invite, state = 'sent',
    expires_ms = tonumber(expires_ms), answer_hash = '', refused_epoch = '', refused_reason = '', hash = hash,
    purpose = purpose, answered_at = 0}))
  named[invite] = true
  return 'ok'
end

local words = {}
for i = FIRST_INVITE, #ARGV, 5 do
  words[#words + 1] = enter(unpack(ARGV, i, i + 4))
end
keep_until(invite_outcomes, ends_ms)
return words
