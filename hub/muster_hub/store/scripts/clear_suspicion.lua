#!lua
-- Clears the suspicion that a device's data were copied, after its person confirmed that this is the only copy in use.
-- KEYS: 1 device, 2 instances, 3 outbox
-- ARGV: 1 not_after (ms), 2 client, 3 connection number, 4 counter of the continuity token that it showed (0: none)
-- Effect: a suspected clone is suspected no more.
-- Returns: 1.
-- Errors: superseded (the connection is not current), not_newest (the last token is issued and not confirmed, or the
--   connection showed an older one and does not hold the agent's seat), device_revoked.
-- Again: there is nothing left to clear, and the answer is the same.
local device, instances, outbox = unpack(KEYS)
local _, client, connection, shown = unpack(ARGV)

if redis.call('HEXISTS', instances, connection) == 0 then
  return refuse('superseded')
end
local standing, seat, confirmed, issued =
  unpack(redis.call('HMGET', device, 'standing', 'seat', 'confirmed', 'issued'))
standing, confirmed, issued = standing or '', tonumber(confirmed or 0), tonumber(issued or 0)
-- The last token was issued to the seat, and the seat alone confirms it. From then on every other copy is behind, so its
-- next connection is suspected. Until then the copy that the seat shows to be older would pass for the newest.
if confirmed < issued or (tonumber(shown) < confirmed and seat ~= connection) then
  return refuse('not_newest')
end
if standing == 'clone_suspected' then
  redis.call('HSET', device, 'standing', '')
  add_entry(outbox, 'record', device_record('suspicion_cleared', client, '', 'done', '', ''))
elseif standing ~= '' then
  return refuse(standing)
end
return 1
