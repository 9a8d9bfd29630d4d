#!lua flags=allow-oom
-- Ends holds on one-shot grants: the use is spent, or free again.
-- KEYS: 1 uses
-- ARGV: 1 not_after (ms), then for each hold: grant id, session id, invite, since when (ms), 'spent' or 'free'
-- Effect: a hold for that session and invite becomes spent, or is deleted unless it was taken again since; any other
--   use stays as it is.
-- Returns: how many holds ended.
-- Again: what is spent or free already is no hold any more.
-- Memory full: runs, it makes nothing larger.
local uses = unpack(KEYS)
local FIRST_HOLD = 2
local ended = 0
for i = FIRST_HOLD, #ARGV, 5 do
  local grant_id, sid, invite, since_ms, outcome = unpack(ARGV, i, i + 4)
  local use = row_in(uses, grant_id)
  local ours = use and use[USE.state] == 'held' and use[USE.session] == sid and use[USE.invite] == invite
  if ours and outcome == 'spent' then
    ended = ended + 1
    use[USE.state], use[USE.shared] = 'spent', 0
    redis.call('HSET', uses, grant_id, cmsgpack.pack(use))
  elseif ours and use[USE.since_ms] <= tonumber(since_ms) then
    ended = ended + 1
    redis.call('HDEL', uses, grant_id)
  end
end
return ended
