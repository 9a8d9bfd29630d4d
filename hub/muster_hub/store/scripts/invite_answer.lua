#!lua flags=allow-oom
-- Takes a device's answer to an invite.
-- KEYS: 1 session, 2 invite_outcomes, 3 roster, 4 sealed, 5 due of the bucket, 6 outbox of the bucket
-- ARGV: 1 not_after (ms), 2 client, 3 invite, 4 'accept' or the reason of a refusal, 5 hash of the answer,
--   6 record of a refusal or empty, 7 session id, 8 the device that the answer is for, 9 the `at` of the answer
-- Effect: an accepted invite waits for its seat; a refused one is over. A refusal after the seat, and before `joined`,
--   takes the member out with its reason.
-- Returns: 'ok', 'refused' (this answer ended the invite now), 'seated' (this invite led to a seat before), 'out' (a
--   seat was given up now), 'was_out' (this answer gave it up before).
-- Errors: expired, cancelled, session_closed, replayed (another answer came first), mismatch (no such session, or no
--   such invite to this client), wrong_recipient (not for the session's creator).
-- Again: the same answer finds itself and gets the same reply; nothing is recorded twice.
-- Memory full: runs, a refusal must be taken.
local session, invite_outcomes, roster, sealed, due, outbox = unpack(KEYS)
local _, client, invite, answer, hash, record, sid, recipient, at = unpack(ARGV)

local open, ends_ms, creator, epoch = unpack(redis.call('HMGET', session, 'open', 'ends', 'creator', 'epoch'))

local function answer_live(live)
  if open ~= '1' or now_ms >= tonumber(ends_ms) then
    return refuse('session_closed')
  end
  if live[LIVE_INVITE.state] == 'sent' and now_ms >= live[LIVE_INVITE.expires_ms] then
    end_invite(invite_outcomes, client, invite, 'expired', '')
    return refuse('expired')
  end
  if answer ~= 'accept' then
    end_invite(invite_outcomes, client, invite, answer, hash)
    add_entry(outbox, 'record', record)
    return 'refused'
  end
  if live[LIVE_INVITE.state] == 'answered' then
    return live[LIVE_INVITE.answer_hash] == hash and 'ok' or refuse('replayed')
  end
  live[LIVE_INVITE.state], live[LIVE_INVITE.answer_hash], live[LIVE_INVITE.answered_at] = 'answered', hash, tonumber(at)
  redis.call('HSET', invite_outcomes, 'live:' .. client, cmsgpack.pack(live))
  return 'ok'
end

local function give_up_seat(ended)
  local row = row_in(roster, client)
  if not row or row[MEMBER.invite] ~= invite then
    return refuse('mismatch')
  end
  if row[MEMBER.state] == 'seated' then
    take_member_out(roster, sealed, due, sid, client, row, answer, epoch)
    ended[ENDED_INVITE.refusal_hash] = hash
    redis.call('HSET', invite_outcomes, invite, cmsgpack.pack(ended))
    add_entry(outbox, 'record', record)
    return 'out'
  end
  return ended[ENDED_INVITE.refusal_hash] == hash and 'was_out' or refuse('replayed')
end

-- Only a device that was invited hears more than `mismatch`, which a session that does not exist says too.
local live, ended = row_in(invite_outcomes, 'live:' .. client), ended_invite(invite_outcomes, client, invite)
local is_live = live and live[LIVE_INVITE.invite] == invite
if not is_live and not ended then
  return refuse('mismatch')
end
if creator ~= recipient then
  return refuse('wrong_recipient')
end
if is_live then
  return answer_live(live)
end
local outcome = ended[ENDED_INVITE.outcome]
if outcome == 'seated' then
  return answer == 'accept' and 'seated' or give_up_seat(ended)
end
if outcome == answer and ended[ENDED_INVITE.refusal_hash] == hash then
  return 'ok'
end
if ended[ENDED_INVITE.refusal_hash] ~= '' then
  return refuse('replayed')
end
-- The end of trust looks like any other withdrawal.
local trust_ended = {not_trusted = true, not_mutually_trusted = true}
return refuse(trust_ended[outcome] and 'cancelled' or outcome)
