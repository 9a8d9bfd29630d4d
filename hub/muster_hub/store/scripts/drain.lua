#!lua flags=no-writes
-- Reads the outbox entries of a bucket that were not drained yet, and its joins that are overdue.
-- KEYS: 1 outbox, 2 drained, 3 due
-- ARGV: 1 consumer, 2 least age of an entry (ms), 3 entries and joins at most
-- Effect: none.
-- Returns: [id, kind, data of each entry, oldest first], [packed session, client, invite of each join].
-- Again: it only reads.
local outbox, drained, due = unpack(KEYS)
local consumer, least_age_ms, limit = unpack(ARGV)
local at_ms = clock_ms()

local after = redis.call('HGET', drained, consumer)
local entries = redis.call('XRANGE', outbox, after and '(' .. after or '-', text(at_ms - least_age_ms),
  'COUNT', limit)
local found = {}
for i, entry in ipairs(entries) do
  local fields = {}
  for j = 1, #entry[2], 2 do
    fields[entry[2][j]] = entry[2][j + 1]
  end
  found[i] = {entry[1], fields['kind'] or '', fields['data'] or ''}
end
return {found, redis.call('ZRANGEBYSCORE', due, '-inf', text(at_ms), 'LIMIT', 0, limit)}
