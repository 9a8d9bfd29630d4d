#!lua flags=no-writes
-- Reads a session and its roster.
-- KEYS: 1 session, 2 roster
-- Effect: none.
-- Returns: nil when there is no such session; else [creator, seed, mode, profile, kind, open, created, ends, epoch,
--   epoch hash], [client, row of every member in turn].
-- Again: it only reads.
local session, roster = unpack(KEYS)
local known = session_fields(session)
if not known[1] then
  return nil
end
return {known, redis.call('HGETALL', roster)}
