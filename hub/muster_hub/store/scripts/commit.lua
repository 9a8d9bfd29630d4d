#!lua
-- Commits an epoch of the session's creator and the joins in it, and removes the members that it leaves out. The
-- session's slot alone decides.
-- KEYS: 1 session, 2 roster, 3 minimum_versions, 4 epochs, 5 sealed, 6 invite_outcomes, 7 due of the bucket,
--   8 outbox of the bucket
-- ARGV: 1 not_after (ms), 2 session id, 3 caller, 4 its fingerprint, 5 number, 6 hash of the epoch before,
--   7 hash of the epoch, 8 the epoch, 9 ms until a newcomer must have joined,
--   10 packed parties: [client, ver when it was held] each,
--   11 packed members kept: [client, fingerprint, sealed key or ''] each,
--   12 packed newcomers: [client, fingerprint, invite, admission, its hash, record] each,
--   13 record of a member removed, without its subject
-- Effect: newcomers are seated, members that are neither kept nor newcomers are out, the epoch is the session's newest,
--   its keys and admissions are held for the members, and the records and the admission of each newcomer stand in the
--   outbox. What those said who went before is deleted: the creator has left them out. Of more than MAX_EPOCHS_KEPT
--   epochs the oldest goes.
-- Returns: ['ok', members removed]; ['again'] for an epoch that is committed already; ['stale', clients who must be held
--   again]; ['rejected', client, word, ... for each newcomer whose invite prevents the commit, and for each member kept
--   that is none].
-- Errors: closed, not_a_member (the caller is not the creator, or out), mismatch (it does not follow the newest epoch).
-- Again: an epoch that is committed already is answered `again` and nothing changes.
local session, roster, minimum_versions, epochs, sealed, invite_outcomes, due, outbox = unpack(KEYS)
local _, sid, caller, caller_fp, number, previous, hash, epoch, join_ms = unpack(ARGV)
local parties, kept = cmsgpack.unpack(ARGV[10]), cmsgpack.unpack(ARGV[11])
local newcomers, removal = cmsgpack.unpack(ARGV[12]), ARGV[13]
local FIELDS_PER_EPOCH = 3
number = tonumber(number)

local members = {}
local rows = redis.call('HGETALL', roster)
for i = 1, #rows, 2 do
  members[rows[i]] = cmsgpack.unpack(rows[i + 1])
end
local function is_member(client, fingerprint)
  local row = members[client]
  return row and row[MEMBER.state] ~= 'out' and (not fingerprint or row[MEMBER.fingerprint] == fingerprint)
end

local creator, open, ends_ms, newest, newest_hash =
  unpack(redis.call('HMGET', session, 'creator', 'open', 'ends', 'epoch', 'epoch_hash'))
if open ~= '1' or now_ms >= tonumber(ends_ms) then
  return refuse('closed')
end
if redis.call('HEXISTS', epochs, 'h:' .. hash) == 1 then
  return {'again'}
end
if caller ~= creator or not is_member(caller, caller_fp) then
  return refuse('not_a_member')
end
if number <= tonumber(newest) or previous ~= newest_hash then
  return refuse('mismatch')
end

local stale = {'stale'}
for _, party in ipairs(parties) do
  local client, ver = unpack(party)
  local minimum = redis.call('HGET', minimum_versions, client)
  if minimum and tonumber(minimum) > ver then
    stale[#stale + 1] = client
  end
end
if #stale > 1 then
  return stale
end

local rejected, named = {'rejected'}, {}
local function reject(client, word)
  rejected[#rejected + 1] = client
  rejected[#rejected + 1] = word
end
for _, member in ipairs(kept) do
  local client, fingerprint = unpack(member)
  named[client] = true
  if not is_member(client, fingerprint) then
    reject(client, 'not_a_member')
  end
end
for _, newcomer in ipairs(newcomers) do
  local client, _, invite = unpack(newcomer)
  named[client] = true
  local live = row_in(invite_outcomes, 'live:' .. client)
  if not live or live[LIVE_INVITE.invite] ~= invite or live[LIVE_INVITE.state] ~= 'answered' then
    reject(client, outcome_of(invite_outcomes, client, invite) or 'mismatch')
  elseif live[LIVE_INVITE.refused_epoch] == hash then
    reject(client, live[LIVE_INVITE.refused_reason])
  end
end
if #rejected > 1 then
  return rejected
end

redis.call('HSET', session, 'epoch', number, 'epoch_hash', hash)
redis.call('HSET', epochs, number, epoch, 'h:' .. hash, number, 'n:' .. number, hash)
if redis.call('HLEN', epochs) > MAX_EPOCHS_KEPT * FIELDS_PER_EPOCH then
  local old = numbers_after(epochs, 0)[1]
  redis.call('HDEL', epochs, old, 'n:' .. old, 'h:' .. (redis.call('HGET', epochs, 'n:' .. old) or ''))
end
for _, member in ipairs(kept) do
  local client, _, key = unpack(member)
  if key == '' then
    redis.call('HDEL', sealed, 'key:' .. client)
  else
    redis.call('HSET', sealed, 'key:' .. client, key)
  end
end
local done = {'ok'}
for client, row in pairs(members) do
  if row[MEMBER.last_epoch] == tonumber(newest) then
    redis.call('HDEL', sealed, 'left:' .. client)
  end
  if is_member(client) and not named[client] then
    take_member_out(roster, sealed, due, sid, client, row, '', newest)
    local record = cmsgpack.unpack(removal)
    record[RECORD.subject] = client
    add_entry(outbox, 'record', cmsgpack.pack(record))
    done[#done + 1] = client
  end
end
for _, newcomer in ipairs(newcomers) do
  local client, fingerprint, invite, admission, admission_hash, record = unpack(newcomer)
  redis.call('HSET', roster, client, pack_row(MEMBER, {state = 'seated', fingerprint = fingerprint, since_ms = now_ms,
    reason = '', invite = invite, instance = '', last_epoch = 0,
    answered_at = row_in(invite_outcomes, 'live:' .. client)[LIVE_INVITE.answered_at]}))
  redis.call('HDEL', sealed, 'key:' .. client, 'joined:' .. client, 'jn:' .. client, 'left:' .. client)
  redis.call('HSET', sealed, 'adm:' .. client, admission, 'admh:' .. client, admission_hash)
  end_invite(invite_outcomes, client, invite, 'seated', '')
  redis.call('ZADD', due, text(now_ms + join_ms), due_seat(sid, client, invite))
  add_entry(outbox, 'record', record)
  add_entry(outbox, 'admission', pack_row(ADMISSION, {session = sid, client = client, hash = admission_hash}))
end
keep_until(sealed, ends_ms)
keep_until(invite_outcomes, ends_ms)
return done
