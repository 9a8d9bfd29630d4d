#!lua
-- Refuses an epoch because of some of its newcomers. The answer to the refused request is then final: the epoch is not
-- committed later.
-- KEYS: 1 session, 2 epochs, 3 invite_outcomes
-- ARGV: 1 not_after (ms), 2 hash of the epoch, then for each of these newcomers: client, invite, reason
-- Effect: the live invite of each records the epoch and the reason, for the script `commit` of another request for the
--   same epoch; one without a live invite is not committed anyway. Another epoch may still seat them.
-- Returns: 'refused', or 'committed' when the epoch was committed before; then nothing changes.
-- Again: the same is recorded once more.
local session, epochs, invite_outcomes = unpack(KEYS)
local _, hash = unpack(ARGV, 1, 2)
local FIRST_NEWCOMER = 3

if redis.call('EXISTS', session) == 1 and redis.call('HEXISTS', epochs, 'h:' .. hash) == 1 then
  return 'committed'
end
for i = FIRST_NEWCOMER, #ARGV, 3 do
  local client, invite, reason = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local live = row_in(invite_outcomes, 'live:' .. client)
  if live and live[LIVE_INVITE.invite] == invite then
    live[LIVE_INVITE.refused_epoch], live[LIVE_INVITE.refused_reason] = hash, reason
    redis.call('HSET', invite_outcomes, 'live:' .. client, cmsgpack.pack(live))
  end
end
return 'refused'
