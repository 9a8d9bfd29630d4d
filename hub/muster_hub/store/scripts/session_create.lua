#!lua
-- Makes a session with its creator as the only member and epoch 1.
-- KEYS: 1 session, 2 roster, 3 epochs, 4 outbox of the bucket
-- ARGV: 1 not_after (ms), 2 creator, 3 its fingerprint, 4 its instance, 5 seed, 6 mode, 7 profile or '', 8 kind,
--   9 how long it lasts (ms), 10 hard end (ms), 11 hash of epoch 1, 12 epoch 1, 13 record
-- Effect: the session stands until a day after its hard end.
-- Returns: 1 when it was made now, 0 when this very session was made before.
-- Errors: taken (a session of that name with another first epoch, mode, profile, kind or length).
-- Again: the same session is found and nothing changes.
local session, roster, epochs, outbox = unpack(KEYS)
local _, creator, fingerprint, instance, seed, mode, profile, kind, lasts_ms, ends_ms, epoch_hash, epoch, record =
  unpack(ARGV)

if redis.call('EXISTS', session) == 1 then
  local held_mode, held_profile, held_kind, held_lasts_ms =
    unpack(redis.call('HMGET', session, 'mode', 'profile', 'kind', 'lasts'))
  local same = held_mode == mode and held_profile == profile and held_kind == kind and held_lasts_ms == lasts_ms
  return same and redis.call('HGET', epochs, 'n:1') == epoch_hash and 0 or refuse('taken')
end
redis.call('HSET', session, 'creator', creator, 'seed', seed, 'mode', mode, 'profile', profile, 'kind', kind,
  'open', 1, 'created', text(now_ms), 'lasts', lasts_ms, 'ends', ends_ms, 'epoch', 1, 'epoch_hash', epoch_hash)
redis.call('HSET', roster, creator, pack_row(MEMBER, {state = 'joined', fingerprint = fingerprint, since_ms = now_ms,
  reason = '', invite = '', instance = instance, last_epoch = 0, answered_at = 0}))
redis.call('HSET', epochs, '1', epoch, 'h:' .. epoch_hash, 1, 'n:1', epoch_hash)
for _, key in ipairs({session, roster, epochs}) do
  keep_until(key, ends_ms)
end
add_entry(outbox, 'record', record)
return 1
