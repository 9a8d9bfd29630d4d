#!lua flags=allow-oom
-- Writes a record of something that changed nothing else, such as a refusal.
-- KEYS: 1 outbox of the bucket
-- ARGV: 1 not_after (ms), 2 record
-- Effect: the record stands in the outbox.
-- Returns: 1.
-- Again: the record stands there twice. The hub never repeats the call, and a device that asks again is refused again.
-- Memory full: runs, the outbox is trimmed as it is drained.
local outbox = unpack(KEYS)
local _, record = unpack(ARGV)
add_entry(outbox, 'record', record)
return 1
