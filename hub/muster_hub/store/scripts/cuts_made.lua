#!lua flags=allow-oom
-- Records that every cut of a statement about a peer was made.
-- KEYS: 1 device
-- ARGV: 1 not_after (ms), 2 peer, 3 hash of the statement
-- Effect: the same statement again cuts nothing.
-- Returns: 1.
-- Again: it is recorded already.
-- Memory full: runs, it makes nothing larger.
-- Volatile: a statement whose mark is lost is cut once more when it comes again.
local device = unpack(KEYS)
local _, peer, hash = unpack(ARGV)
for _, field in ipairs({'cuts:peers:' .. peer, 'cuts:grants:' .. peer}) do
  if unfinished_ver(device, field, hash) then
    redis.call('HDEL', device, field)
  end
end
return 1
