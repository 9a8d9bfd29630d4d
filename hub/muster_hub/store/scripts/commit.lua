#!lua
-- Commits an epoch and the joins in it: the session's slot is the only judge.
-- KEYS: 1 session, 2 roster, 3 floors, 4 epochs, 5 sealed, 6 judged, 7 due of the bucket, 8 outbox of the bucket
-- ARGV: 1 not_after (ms), 2 session, 3 caller, 4 its fingerprint, 5 number, 6 hash of the epoch before,
--   7 hash of the epoch, 8 the epoch, 9 ms until a newcomer must have joined,
--   10 packed parties: [client, ver when it was held] each,
--   11 packed members kept: [client, fingerprint, sealed key or ''] each,
--   12 packed newcomers: [client, fingerprint, invite, admission, its hash, record] each,
--   13 packed members taken out: [client, record] each
-- Effect: newcomers are seated, the epoch is the session's newest, its keys and admissions are held for their members,
--   and the record and the admission of each newcomer stand in the outbox. Epochs older than MAX_EPOCHS_KEPT go.
-- Returns: ['ok']; ['stale', clients who must be held again]; ['rejected', client, word, ... for who stands in the way].
-- Errors: closed, not_a_member (the caller), mismatch (not the next epoch).
-- Again: an epoch that is committed already is answered ok and nothing changes.
local DAY_MS, MAX_EPOCHS_KEPT = 86400000, 256
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if now_ms > tonumber(ARGV[1]) then
  return redis.error_reply('MUSTER late')
end
local number, hash = tonumber(ARGV[5]), ARGV[7]
local parties, kept = cmsgpack.unpack(ARGV[10]), cmsgpack.unpack(ARGV[11])
local newcomers, dropped = cmsgpack.unpack(ARGV[12]), cmsgpack.unpack(ARGV[13])

local roster = {}
local rows = redis.call('HGETALL', KEYS[2])
for i = 1, #rows, 2 do
  roster[rows[i]] = cmsgpack.unpack(rows[i + 1])
end
local function is_member(client, fingerprint)
  local row = roster[client]
  return row and row[1] ~= 'out' and (not fingerprint or row[2] == fingerprint)
end

local session = redis.call('HMGET', KEYS[1], 'open', 'ends', 'epoch', 'epoch_hash')
if session[1] ~= '1' or now_ms >= tonumber(session[2]) then
  return redis.error_reply('MUSTER closed')
end
if redis.call('HEXISTS', KEYS[4], 'h:' .. hash) == 1 then
  return {'ok'}
end
if not is_member(ARGV[3], ARGV[4]) then
  return redis.error_reply('MUSTER not_a_member')
end
if number ~= session[3] + 1 or ARGV[6] ~= session[4] then
  return redis.error_reply('MUSTER mismatch')
end

local stale = {'stale'}
for _, party in ipairs(parties) do
  local floor = redis.call('HGET', KEYS[3], party[1])
  if floor and tonumber(floor) > party[2] then
    stale[#stale + 1] = party[1]
  end
end
if #stale > 1 then
  return stale
end

local rejected, named = {'rejected'}, {}
local function reject(client, word)
  rejected[#rejected + 1] = client
  rejected[#rejected + 1] = word
end
for _, member in ipairs(kept) do
  named[member[1]] = true
  if not is_member(member[1], member[2]) then
    reject(member[1], 'not_a_member')
  end
end
for _, member in ipairs(dropped) do
  named[member[1]] = true
end
for _, newcomer in ipairs(newcomers) do
  named[newcomer[1]] = true
  local packed = redis.call('HGET', KEYS[6], 'live:' .. newcomer[1])
  local live = packed and cmsgpack.unpack(packed)
  if not live or live[1] ~= newcomer[3] or live[2] ~= 'answered' then
    reject(newcomer[1], redis.call('HGET', KEYS[6], newcomer[3]) or 'mismatch')
  elseif live[5] == hash then
    reject(newcomer[1], live[6])
  end
end
for client in pairs(roster) do
  if is_member(client) and not named[client] then
    reject(client, 'mismatch')
  end
end
if #rejected > 1 then
  return rejected
end

redis.call('HSET', KEYS[1], 'epoch', number, 'epoch_hash', hash)
redis.call('HSET', KEYS[4], number, ARGV[8], 'h:' .. hash, number, 'n:' .. number, hash)
local old = number - MAX_EPOCHS_KEPT
if old > 0 then
  redis.call('HDEL', KEYS[4], old, 'n:' .. old, 'h:' .. (redis.call('HGET', KEYS[4], 'n:' .. old) or ''))
end
for _, member in ipairs(kept) do
  if member[3] == '' then
    redis.call('HDEL', KEYS[5], 'key:' .. member[1])
  else
    redis.call('HSET', KEYS[5], 'key:' .. member[1], member[3])
  end
end
for _, member in ipairs(dropped) do
  local client, row = member[1], roster[member[1]]
  redis.call('HSET', KEYS[2], client, cmsgpack.pack({'out', row[2], now_ms, '', row[5], row[6], row[7]}))
  redis.call('HDEL', KEYS[5], 'key:' .. client, 'adm:' .. client, 'admh:' .. client, 'joined:' .. client, 'jn:' .. client)
  redis.call('ZREM', KEYS[7], cmsgpack.pack({ARGV[2], client, row[5]}))
  redis.call('XADD', KEYS[8], '*', 'kind', 'record', 'data', member[2])
end
for _, newcomer in ipairs(newcomers) do
  local client, invite, before = newcomer[1], newcomer[3], roster[newcomer[1]]
  local order = before and before[1] ~= 'out' and before[6] or number
  redis.call('HSET', KEYS[2], client, cmsgpack.pack({'seated', newcomer[2], now_ms, '', invite, order, ''}))
  redis.call('HDEL', KEYS[5], 'key:' .. client, 'joined:' .. client, 'jn:' .. client)
  redis.call('HSET', KEYS[5], 'adm:' .. client, newcomer[4], 'admh:' .. client, newcomer[5])
  redis.call('HDEL', KEYS[6], 'live:' .. client)
  redis.call('HSET', KEYS[6], invite, 'seated')
  redis.call('ZADD', KEYS[7], string.format('%.0f', now_ms + ARGV[9]), cmsgpack.pack({ARGV[2], client, invite}))
  redis.call('XADD', KEYS[8], '*', 'kind', 'record', 'data', newcomer[6])
  redis.call('XADD', KEYS[8], '*', 'kind', 'admission', 'data', cmsgpack.pack({ARGV[2], client, newcomer[5]}))
end
redis.call('PEXPIREAT', KEYS[5], string.format('%.0f', session[2] + DAY_MS))
redis.call('PEXPIREAT', KEYS[6], string.format('%.0f', session[2] + DAY_MS))
return {'ok'}
