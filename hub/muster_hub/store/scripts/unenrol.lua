#!lua flags=allow-oom
-- Ends the enrolment of a device, and its connections with it.
-- KEYS: 1 enrolled, 2 instances, 3 watchers, 4 outbox
-- ARGV: 1 not_after (ms), 2 client
-- Effect: the device is enrolled no more and has no connection; no node registers one again that it still holds.
-- Returns: {1 if it was enrolled else 0, {number, row, ...} of its connections, {watching node, ...}}.
-- Again: it is enrolled no more, and has no connection.
local enrolled, instances, watchers, outbox = unpack(KEYS)
local _, client = unpack(ARGV)

local removed = redis.call('HDEL', enrolled, client)
local seats = redis.call('HGETALL', instances)
redis.call('DEL', instances)
if removed == 1 then
  add_entry(outbox, 'record', device_record('unenrolled', '', client, 'done', '', ''))
end
return {removed, seats, watching_nodes(watchers)}
