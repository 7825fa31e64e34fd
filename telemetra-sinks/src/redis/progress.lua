-- Says that everything up to a time is there, unless something newer is.
-- KEYS: progress. ARGV: time, greatest time that may be overwritten.
-- Returns the time that was there.
local stored = redis.call('GET', KEYS[1])
if not stored or tonumber(stored) <= tonumber(ARGV[2]) then redis.call('SET', KEYS[1], ARGV[1]) end
return stored
