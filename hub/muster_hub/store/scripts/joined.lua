#!lua
-- Records that a member holds the key of an epoch.
-- KEYS: 1 session, 2 roster, 3 epochs, 4 sealed, 5 due of the bucket, 6 outbox of the bucket
-- ARGV: 1 not_after (ms), 2 session id, 3 client, 4 its fingerprint, 5 hash of the epoch, 6 hash of the admission or
--   '', 7 instance, 8 the statement, 9 record
-- Effect: a seated member is a joined one, and its admission is deleted; the statement is kept unless one for a later
--   epoch is there.
-- Returns: the roster: [client, row of every member in turn].
-- Errors: closed, not_a_member, mismatch (another epoch, or a seat that another admission gave).
-- Again: the member is joined already, and the same statement takes its own place.
local session, roster, epochs, sealed, due, outbox = unpack(KEYS)
local _, sid, client, fingerprint, epoch_hash, admission_hash, instance, statement, record = unpack(ARGV)

-- Only a member hears more than `not_a_member`, which a session that does not exist says too.
local row = row_in(roster, client)
if not row or row[MEMBER.state] == 'out' or row[MEMBER.fingerprint] ~= fingerprint then
  return refuse('not_a_member')
end
local open, ends_ms = unpack(redis.call('HMGET', session, 'open', 'ends'))
if open ~= '1' or now_ms >= tonumber(ends_ms) then
  return refuse('closed')
end
local number = tonumber(redis.call('HGET', epochs, 'h:' .. epoch_hash) or 0)
local held_admission, held_number = unpack(redis.call('HMGET', sealed, 'admh:' .. client, 'jn:' .. client))
local seated = row[MEMBER.state] == 'seated'
if number == 0 or (seated and held_admission ~= admission_hash) then
  return refuse('mismatch')
end
if seated then
  row[MEMBER.state], row[MEMBER.since_ms], row[MEMBER.reason], row[MEMBER.instance] = 'joined', now_ms, '', instance
  redis.call('HSET', roster, client, cmsgpack.pack(row))
  redis.call('HDEL', sealed, 'adm:' .. client, 'admh:' .. client)
  redis.call('ZREM', due, due_seat(sid, client, row[MEMBER.invite]))
  add_entry(outbox, 'record', record)
end
if number >= tonumber(held_number or 0) then
  redis.call('HSET', sealed, 'joined:' .. client, statement, 'jn:' .. client, number)
  keep_until(sealed, ends_ms)
end
return redis.call('HGETALL', roster)
