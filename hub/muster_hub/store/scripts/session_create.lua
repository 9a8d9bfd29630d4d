#!lua
-- Makes a session with its creator as the only member and epoch 1.
-- KEYS: 1 session, 2 roster, 3 epochs, 4 outbox of the bucket
-- ARGV: 1 not_after (ms), 2 creator, 3 its fingerprint, 4 its instance, 5 seed, 6 mode, 7 profile or '', 8 kind,
--   9 hard end (ms), 10 hash of epoch 1, 11 epoch 1, 12 record
-- Effect: the session stands until a day after its hard end.
-- Returns: 1 when it was made now, 0 when this very session was made before.
-- Errors: taken (a session of that name with another first epoch).
-- Again: the same epoch 1 is found and nothing changes.
local session, roster, epochs, outbox = unpack(KEYS)
local _, creator, fingerprint, instance, seed, mode, profile, kind, ends_ms, epoch_hash, epoch, record = unpack(ARGV)

if redis.call('EXISTS', session) == 1 then
  if redis.call('HGET', epochs, 'h:' .. epoch_hash) == '1' then
    return 0
  end
  return refuse('taken')
end
redis.call('HSET', session, 'creator', creator, 'seed', seed, 'mode', mode, 'profile', profile, 'kind', kind,
  'open', 1, 'created', text(now_ms), 'ends', ends_ms, 'epoch', 1, 'epoch_hash', epoch_hash)
redis.call('HSET', roster, creator, pack_row(MEMBER, {state = 'joined', fingerprint = fingerprint, since_ms = now_ms,
  reason = '', invite = '', order = 0, instance = instance}))
redis.call('HSET', epochs, '1', epoch, 'h:' .. epoch_hash, 1, 'n:1', epoch_hash)
for _, key in ipairs({session, roster, epochs}) do
  keep_until(key, ends_ms)
end
add_entry(outbox, 'record', record)
return 1
