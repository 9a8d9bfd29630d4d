#!lua flags=no-writes
-- Reads what a bucket has for the node that it falls to: outbox entries not drained yet, and joins that are overdue.
-- KEYS: 1 outbox, 2 drained, 3 due
-- ARGV: 1 consumer, 2 least age of an entry (ms), 3 entries and joins at most, 4 the time (ms)
-- Effect: none.
-- Returns: [id, kind, data of each entry, oldest first], [packed session, client, invite of each join].
-- Again: it only reads.
local after = redis.call('HGET', KEYS[2], ARGV[1])
local time = redis.call('TIME')
local old_ms = time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[2]
local entries = redis.call('XRANGE', KEYS[1], after and '(' .. after or '-', string.format('%.0f', old_ms), 'COUNT', ARGV[3])
local found = {}
for i, entry in ipairs(entries) do
  local fields = {}
  for j = 1, #entry[2], 2 do
    fields[entry[2][j]] = entry[2][j + 1]
  end
  found[i] = {entry[1], fields['kind'] or '', fields['data'] or ''}
end
return {found, redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', ARGV[4], 'LIMIT', 0, ARGV[3])}
