#!lua flags=no-writes
-- Reads whether the newcomers of an epoch have accepted an invite that is still live, before any device is held.
-- KEYS: 1 session, 2 epochs, 3 invite_outcomes
-- ARGV: 1 number of the epoch, 2 hash of the epoch before, 3 hash of the epoch, then for each newcomer: client, invite
-- Effect: none.
-- Returns: client and word, in turn, of each newcomer without such an invite: how the invite ended, else mismatch. None
--   for an epoch that is committed already.
-- Errors: closed (or no such session), mismatch (not the next epoch).
-- Again: it only reads.
local session, epochs, invite_outcomes = unpack(KEYS)
local number, previous, hash = unpack(ARGV, 1, 3)
local FIRST_NEWCOMER = 4

local open, newest, newest_hash = unpack(redis.call('HMGET', session, 'open', 'epoch', 'epoch_hash'))
if open ~= '1' then
  return refuse('closed')
end
local missing = {}
if redis.call('HEXISTS', epochs, 'h:' .. hash) == 1 then
  return missing
end
if tonumber(number) ~= newest + 1 or previous ~= newest_hash then
  return refuse('mismatch')
end
for i = FIRST_NEWCOMER, #ARGV, 2 do
  local client, invite = ARGV[i], ARGV[i + 1]
  local live = row_in(invite_outcomes, 'live:' .. client)
  if not live or live[LIVE_INVITE.invite] ~= invite or live[LIVE_INVITE.state] ~= 'answered' then
    missing[#missing + 1] = client
    missing[#missing + 1] = outcome_of(invite_outcomes, client, invite) or 'mismatch'
  end
end
return missing
