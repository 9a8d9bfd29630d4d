#!lua
-- Takes a device's card.
-- KEYS: 1 device, 2 instances, 3 peers, 4 outbox
-- ARGV: 1 not_after (ms), 2 client, 3 connection number, 4 card (encoded Signed), 5 serial, 6 hash, 7 compat row
-- Effect: the higher serial counts, then the higher hash. Of a device that trusts no device the card is not kept, only
--   what it can do. A card that is kept is recorded.
-- Returns: {verdict, {trusted peer, ...}}; the verdict is "taken", "known", "older" or "mismatch".
-- Errors: superseded (the connection is not current).
-- Again: "known".
local device, instances, peers, outbox = unpack(KEYS)
local _, client, connection, card, serial_text, hash, compat = unpack(ARGV)
local serial = tonumber(serial_text)

if redis.call('HEXISTS', instances, connection) == 0 then
  return refuse('superseded')
end
local held_serial, held_hash = unpack(redis.call('HMGET', device, 'card_serial', 'card_hash'))
local verdict, wins = compare(serial, hash, tonumber(held_serial or 0), held_hash or '')
if not wins then
  return {verdict, {}}
end
redis.call('HSET', device, 'compat', compat)
if redis.call('EXISTS', peers) == 0 then
  return {verdict, {}}
end
keep_card(device, card, serial_text, hash)
add_entry(outbox, 'record', device_record('card', client, '', 'done', '', hash))

local trusted, rows = {}, redis.call('HGETALL', peers)
for i = 1, #rows, 2 do
  if cmsgpack.unpack(rows[i + 1])[PEER.kind] == 'trust' then
    trusted[#trusted + 1] = rows[i]
  end
end
return {verdict, trusted}
