#!lua flags=no-writes
-- Reads what a session knows of an epoch that is to be committed, before any device is held.
-- KEYS: 1 session, 2 roster, 3 epochs, 4 sealed, 5 invite_outcomes
-- ARGV: 1 number of the epoch, 2 hash of the epoch before, 3 hash of the epoch,
--   4 packed members kept: [client, fingerprint, sealed key or ''] each,
--   5 packed newcomers: [client, fingerprint, invite, its hash, hash of the admission] each
-- Effect: none.
-- Returns: ['again', members to whom the request sends what is stored for them] for an epoch that is committed already;
--   ['rejected', client and word in turn of each member kept that is none under its key, and of each newcomer that has not
--   accepted that invite, or whose invite is live no longer: how it ended, else mismatch]; else ['next', client and
--   purpose of its invite in turn of each newcomer].
--   The hash of an epoch covers neither admissions nor sealed keys, so `again` has only those members whose own is the
--   stored one, byte for byte.
-- Errors: closed (or no such session), mismatch (it does not follow the newest epoch).
-- Again: it only reads.
local session, roster, epochs, sealed, invite_outcomes = unpack(KEYS)
local number, previous, hash, packed_kept, packed_newcomers = unpack(ARGV)
local kept, newcomers = cmsgpack.unpack(packed_kept), cmsgpack.unpack(packed_newcomers)

local function present(client, fingerprint)
  local row = row_in(roster, client)
  return row and row[MEMBER.state] ~= 'out' and row[MEMBER.fingerprint] == fingerprint and row or nil
end

local function stored_for(member)
  local client, fingerprint, key = unpack(member)
  return present(client, fingerprint) and key ~= '' and redis.call('HGET', sealed, 'key:' .. client) == key
end

local function awaits_admission(newcomer)
  local client, fingerprint, invite, _, admission_hash = unpack(newcomer)
  local row = present(client, fingerprint)
  local seated = row and row[MEMBER.state] == 'seated' and row[MEMBER.invite] == invite
  return seated and redis.call('HGET', sealed, 'admh:' .. client) == admission_hash
end

-- The script `commit` asks for the id and the answer again; what else is read of a live invite never changes.
local function accepted(client, invite, invite_hash)
  local live = row_in(invite_outcomes, 'live:' .. client)
  local named = live and live[LIVE_INVITE.invite] == invite and live[LIVE_INVITE.hash] == invite_hash
  return named and live[LIVE_INVITE.state] == 'answered' and live or nil
end

local function reached_again()
  local reached = {'again'}
  for _, member in ipairs(kept) do
    if stored_for(member) then
      reached[#reached + 1] = member[1]
    end
  end
  for _, newcomer in ipairs(newcomers) do
    if awaits_admission(newcomer) then
      reached[#reached + 1] = newcomer[1]
    end
  end
  return reached
end

local open, newest, newest_hash = unpack(redis.call('HMGET', session, 'open', 'epoch', 'epoch_hash'))
if open ~= '1' then
  return refuse('closed')
end
if redis.call('HEXISTS', epochs, 'h:' .. hash) == 1 then
  return reached_again()
end
if tonumber(number) <= tonumber(newest) or previous ~= newest_hash then
  return refuse('mismatch')
end
local rejected, next_epoch = {'rejected'}, {'next'}
for _, member in ipairs(kept) do
  local client, fingerprint = unpack(member)
  if not present(client, fingerprint) then
    rejected[#rejected + 1] = client
    rejected[#rejected + 1] = 'not_a_member'
  end
end
for _, newcomer in ipairs(newcomers) do
  local client, _, invite, invite_hash = unpack(newcomer)
  local live = accepted(client, invite, invite_hash)
  local reply = live and next_epoch or rejected
  reply[#reply + 1] = client
  reply[#reply + 1] = live and live[LIVE_INVITE.purpose] or outcome_of(invite_outcomes, client, invite) or 'mismatch'
end
return #rejected > 1 and rejected or next_epoch
