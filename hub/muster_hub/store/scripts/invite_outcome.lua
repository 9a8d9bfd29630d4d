#!lua flags=no-writes
-- Tells how an invite ended.
-- KEYS: 1 session, 2 judged
-- ARGV: 1 invite
-- Effect: none.
-- Returns: 'gone' when there is no such session; 'open' while the invite is not over; else the word it was judged with.
-- Again: it only reads.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 'gone'
end
return redis.call('HGET', KEYS[2], ARGV[1]) or 'open'
