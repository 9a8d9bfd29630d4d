#!lua
-- Reads a device's presence for another device, and may add a node that watches it. A read without a watch runs as the
-- variant that writes nothing.
-- KEYS: 1 device, 2 instances, 3 peers, 4 watchers
-- ARGV: 1 not_after (ms), 2 asker, 3 asker's fingerprint, 4 watching node ("": none), 5 how long it watches (ms)
-- Effect: where the device trusts the asker under that fingerprint, the node is told of changes for that long. The
--   call is the same for a stranger, and leaves nothing behind.
-- Returns: {its row about the asker or "", last seen (ms, 0: never) as text, cause, {number, row, ...}, when it is
--   expected back (ms, 0: it is not) as text}.
-- Again: the node is told for as long, counted from then.
-- Volatile: a node that watches repeats the call every half minute.
local device, instances, peers, watchers = unpack(KEYS)
local _, asker, fingerprint, node, watch_ms = unpack(ARGV)

local about = redis.call('HGET', peers, asker) or ''
local last_seen, cause, back_by = unpack(redis.call('HMGET', device, 'last_seen', 'cause', 'back_by'))
local rows = redis.call('HGETALL', instances)
if node ~= '' and about ~= '' then
  local row = cmsgpack.unpack(about)
  if row[PEER.kind] == 'trust' and row[PEER.fingerprint] == fingerprint then
    local watching = redis.call('HGETALL', watchers)
    for i = 1, #watching, 2 do
      if tonumber(watching[i + 1]) <= now_ms then
        redis.call('HDEL', watchers, watching[i])
      end
    end
    redis.call('HSET', watchers, node, text(now_ms + tonumber(watch_ms)))
    redis.call('PEXPIRE', watchers, watch_ms)
  end
end
return {about, last_seen or '0', cause or '', rows, back_by or '0'}
