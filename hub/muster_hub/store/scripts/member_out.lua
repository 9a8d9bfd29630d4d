#!lua flags=allow-oom
-- Takes a member out of a session.
-- KEYS: 1 session, 2 roster, 3 sealed, 4 due of the bucket, 5 outbox of the bucket
-- ARGV: 1 not_after (ms), 2 session id, 3 client, 4 its fingerprint or '' for any, 5 reason or '',
--   6 '' or the invite whose seat, never joined, is taken back, 7 its packed [kind, `leave`] or '', 8 the `at` of that
--   `leave`, 9 record
-- Effect: the member is out, and nothing is held for it any more but its `leave`, also where it was out before. A
--   session without members is closed.
-- Returns: [1 when it is out by this call, else 0], [client, row of every member in turn].
-- Errors: not_a_member (it never was one, under that key), replayed (the `leave` is older than the answer for which it
--   was admitted: the creator would not take it, and could make no epoch without the member).
-- Again: the member is out already and nothing changes. One that another invite seated again stays.
-- Memory full: runs, a member can always leave.
local session, roster, sealed, due, outbox = unpack(KEYS)
local _, sid, client, fingerprint, reason, invite, leave, leave_at, record = unpack(ARGV)

redis.call('ZREM', due, due_seat(sid, client, invite))
local row = row_in(roster, client)
if not row or (fingerprint ~= '' and row[MEMBER.fingerprint] ~= fingerprint) then
  return refuse('not_a_member')
end
if leave ~= '' and tonumber(leave_at) < row[MEMBER.answered_at] then
  return refuse('replayed')
end
local named = invite == '' or (row[MEMBER.state] == 'seated' and row[MEMBER.invite] == invite)
local goes = row[MEMBER.state] ~= 'out' and named
if goes then
  take_member_out(roster, sealed, due, sid, client, row, reason, redis.call('HGET', session, 'epoch'))
  add_entry(outbox, 'record', record)
end
if leave ~= '' then
  redis.call('HSET', sealed, 'left:' .. client, leave)
  keep_until(sealed, redis.call('HGET', session, 'ends'))
end
local rows, members = redis.call('HGETALL', roster), 0
for i = 2, #rows, 2 do
  members = members + (cmsgpack.unpack(rows[i])[MEMBER.state] == 'out' and 0 or 1)
end
if members == 0 then
  redis.call('HSET', session, 'open', 0)
end
return {goes and 1 or 0, rows}
