"""Sentence templates of the 'drift-serve' split, by intent, in the notation and with the labels of
`templates_drift_train`: the same services and the same app in other sentences.
"""

TEMPLATES = {
    "rental": """
thinking of (renting|hiring) instead of buying a {hire}: what are your (rates|prices) for {span}, is (insurance|a
 manual|cleaning) (part of it|extra)?
we (have|throw|plan) a {event} {on_day}. any {hire} left to (rent|hire), (roughly|up to) {amount} (for the day|for two
 days)?
the {hire} is on hire till {day}, could I (hang on to|keep|hold) it (another|one more) (week|day|weekend)?
how (big|high|steep) is the deposit on a rental {hire}, and (when is it returned|do you block it on my {card})?
the rental {hire} (came|was picked up) {when}. (who do I give it|where does it go) back to (once|when) the {event} is
 over?
my hire period for the {hire} (starts|begins) {on_day}, may I (start|begin) (earlier|a day later|two days sooner)?
late with the rented {hire}, (traffic|illness|work) got in the way. what (do you charge|is the fine) per (extra|late)
 day?
a friend (rented|hired) a {hire} from you for {amount}, but I find no rental (page|section|button) {where}. (still on
 offer|where is it)?
does the rental (price|fee|rate) of a {hire} (drop|get lower) (for longer hire|after {span}|by the week)?
I (scratched|dropped|dented) the {hire} I am (renting|hiring) (a little|slightly). will you (keep|take it from) my
 deposit?
(is there|do you have) a rent-to-buy (plan|option) for the {hire}? I (hired|rented) one {when} and (love|like) it.
can two people (share|sign) one rental (contract|booking) for a {hire}, (my flatmate|my neighbour|my brother) and me?
has (anyone|someone) else booked the {hire} for {day}? the rental calendar (is grey|is full|shows nothing) {where}.
what must I (show|bring) to (rent|hire) a {hire} (in {city}|for a {event}): (ID|a passport|a licence) or (nothing|only
 a {card})?
may I take the rented {hire} (to a neighbour|abroad|on a ferry|to {city}), or does the (rental agreement|hire
 contract) (forbid|rule out) that?
(rented|hired) the {hire} for {span}, but (used it once|need it two days). (is a shorter rental possible|can the hire
 be cut short)?
do you (lend|hire|rent) out a {hire} to (schools|clubs|firms|students) for {span}, and who signs the rental
 (papers|contract)?
""",
    "inscription": """
{lettering} on the (back|front|bottom|lid) of a {keepsake}: (is that possible|can your engraver do it), and for how
 much?
(want|hoping) to surprise {relative} with a {keepsake}. could it (say|read) "(forever|best dad|see you soon|well
 done)", engraved?
you engraved the wrong (initials|name|date|word) on the {keepsake} (from {order}|I got {when}). (do it again|start
 over) please.
how (small|large|deep) are the engraved letters on a {keepsake}? I have (nine|twelve|twenty) words in mind for
 {relative}.
engraving is {amount} {where}, (per letter|per line) or for the whole (text|{keepsake})?
what is the (longest|maximum) engraving for a {keepsake}: would {lettering} (fit|be too much|look good)?
the preview {where} (cuts off|does not show|blurs) my engraving. will the {keepsake} (really|still) have {lettering}?
pressed buy too (soon|fast) without engraving. please (add|put) {lettering} on the {keepsake} in {order}.
can the (writing|lettering|initials) be in (gold|black|italics|capitals) when you engrave the {keepsake} for
 {relative}?
do you engrave (wood|glass|steel|leather) too? I (mean|am after) a {keepsake} (for {relative}|with {lettering}).
(swap|replace) the engraving in {order}: instead of {lettering} (just|only) (a date|a name|initials) on the {keepsake}.
(would|will) an engraved {keepsake} be ready by {day}, or does the (engraver|engraving) (need|take) {span}?
can you (remove|polish out|go over) an old engraving on a {keepsake} and (put|engrave) {lettering} (there|on it)?
the (letters|initials) on my {keepsake} from {order} are (too faint|hard to read|off centre), (who|what robot)
 engraved that?
our (club|office|choir) wants its (logo|crest|motto) engraved on a {keepsake} (for {relative}|as a prize). who
 (draws|sets) it?
ticked the engraving option {when}, there was no (place|line) for the (words|name|text). my {keepsake} should have
 {lettering}.
is a personalised {keepsake}, say with {lettering}, engraved (in house|by you) or (by a jeweller|somewhere else)?
""",
    "recycling": """
a new {junk} is coming {on_day}. will the (driver|crew) (remove|cart off) the old one for (scrap|recycling)?
(cellar|garage|attic) full of {waste} and an old {junk}. what of it (goes|can go) into your recycling?
found a (sack|crate|pile) of {waste}. do your (people|drivers) take (that|such stuff) back, or is it (household
 waste|off to the dump)?
I do not want to (dump|bin) my old {junk}. which of your partners (recycles|scraps) it (properly|near {city}|for
 free)?
what does (disposal|removal|scrapping) of an old {junk} cost (me|with you), {amount} or (nothing|less)?
the waste van was due {when}, the old {junk} is still (in the hall|on the pavement|in my kitchen). (new date
 please|when is it collected)?
(any|is there a) (drop-off|return) bin for {waste} at (your place|the depot|a supermarket) (in {city}|near me)?
so much (cardboard|foam|plastic) for one {product}! (do you take packaging back|is any of it recyclable|which bin does
 it go in)?
my old {junk} (runs|works) but has to go. is it (given away|passed on|recycled) or (scrapped|crushed) once you have
 it?
does your (take-back|recycling) also (cover|include) an old {junk} of another brand, plus (a few|some) {waste}?
must the old {junk} be (defrosted|drained|cleaned|taken apart) before it (goes|is collected) for (disposal|recycling)?
how many {waste} may I (hand in|send|bring) for recycling (at once|per month), and (packed how|in what box)?
I would like a (slot|date|time) for collecting an old {junk} {on_day}, (forty|sixty|thirty) kilos for the
 (scrapyard|recycling|dump).
are {waste} (hazardous|special) waste or can I put them in the (bin|yellow sack)? your (label|leaflet) (does not
 say|is unclear).
I gave you my old {junk} {when} for recycling and was promised (proof|a certificate) of disposal. (where is it|may I
 have it)?
could you (send|give) me a (prepaid |)(box|bag|label) to return (old|empty|used) {waste} for recycling?
(green|eco) question: how much of an old {junk} (do you recycle|ends up recycled|goes to landfill), and how much of the
 {waste}?
""",
    "store": """
(standing|waiting) outside your {branch} and it is (shut|dark|locked). what are the (real|right) (opening
 hours|times)?
(until what time|how late) is your {branch} open {hours}, and (can I come|do I get in) (at the last minute|with a
 pram)?
which is your nearest (store|shop|branch) to {city}, and does it (show|have|display) the {product}?
coming (by car|with a van|by bike) to your {branch} {on_day}: where can I park, (is it free|how much is it)?
before I (drive|travel|set off) to your {branch}: do they have a {product} there to (look at|try|see)?
does your {branch} take walk-ins {hours}, or must I book a (time|visit) (first|in the app)?
a (young man|woman|salesman) in your {branch} (helped me|ignored us|made my day) {when}. (please tell the
 manager.|who is the manager there?)
is your {branch} (fine|ok|suitable) for (a wheelchair|a buggy|someone on crutches), (any steps|does the lift work)?
(bus|train|tram) to your {branch}, (which line do I take|where do I get off)? I (come|visit) {on_day}, for the first
 time.
lost a (glove|hat|wallet|key) (at the till|on the counter|between the shelves) of your {branch} {when}, (was it handed
 in|do you have it)?
why did you (close|shut) the (store|shop|branch) in {city}? I (loved|liked) browsing there, is (another|a new one)
 (planned|opening)?
(crowded|packed) again {when}, (two|one) of (six|eight) tills open at your {branch}. which (day|hour) is (calm|least
 busy)?
are (dogs|prams|skateboards|ice creams) allowed inside your {branch}? we (come|drop by) {on_day} (with one|with two).
(nobody|no one) (answers|picks up) the phone at your {branch}. (is it|are they) open {hours} (at all|or not)?
is there a (demo|tasting|late night|class) at your {branch} {on_day}? (a poster|the window) says so, (what time|from
 when)?
can I (touch|test|see) the {product} somewhere in person, (like|say) at your {branch}, (before I decide|this week)?
the (map|store finder) {where} leads me to an (empty|old) building. where is your {branch} (now|really)?
""",
    "delivery": """
(refreshing|staring at) the tracking {where} since {since}, my {product} (is nowhere|does not move). what is going on?
is the {carrier} (lost|on strike|asleep)? {order} was (meant to come|to be here) {when}.
(when|what time) does my {product} (roughly|about) get to {city}? I have to (leave|go to work) (at noon|by two).
(slot|window) missed again: the app said the {carrier} (comes|brings the {product}) {when}, (I waited|nobody came).
got a photo of my parcel at a (blue|green|strange) door, (not mine|never seen it). where is the {product}?
has {order} (left the warehouse|shipped|gone out) yet? the bar {where} (hangs|is stuck) at "(packed|ready)".
""",
    "refund": """
the {product} (is back with you|reached you) since {since}, so (when|on what day) do you (send|pay) my {amount} back?
how (do|can) I return the {product} {where}? (wrong vibe|not for me), I want (my {amount}|the money) back.
my bank app (shows|has) no {amount} from you. {order} went back {when}, (refund please.|where is the refund?)
refund (says|is marked) "pending" {where} for {span}, the {product} is (long|already) back. (what is the
 hold-up|speed it up)?
you refunded {amount} for the {product} I sent back, it (cost|was) more. (where is the rest|top it up) please.
(points|credit) instead of my money for the returned {product}? (no way|no thanks), pay the {amount} to my {card}.
""",
    "damaged": """
opened the box {when}, the {fragile} (has a crack|is in two|is full of scratches). I (filmed it|took pics). (next
 steps|help)?
the {fragile} I got {when} (rattles|is chipped|looks used) and the box was (crushed|soaked|torn). send a (new|whole)
 one?
tried to start my new {gadget}, (dead|no power|only a beep), it (got here|came) {when}. (send another|exchange it)
 please.
the {flatpack} from {order} came without (a leg|the screws|one panel|the bolts), so it is (just a pile|useless) (here|so
 far).
the {garment} from {order} has (a ripped seam|a stain|a loose button) (fresh out of the bag|with the tag on).
my poor {fragile}: (handle|corner|edge) broken off (in the post|on the way), (unpacked|opened) {when}. (replace
 it|what can you do)?
""",
    "cancel": """
can {order} be (cancelled|stopped) {where}? (my thumb slipped|bought in a rush), I do not need the {product}.
(scrap|drop|undo) the {product} from {order} before you (pack|send) it, I (keep|still want) the rest.
(no longer need|do not want) the {product} I (tapped|ordered) {when}, how do I (cancel|call it off) {where}?
still showing as "(active|on)": I (cancelled|stopped) {order} {when}, did that (work|go through)?
my (roommate|girlfriend|dad) (got|has) the same {product}, so please (cancel|stop) mine, {order}.
the app (renews|rolls over) my (box|plan|membership) {on_day}, I want (out|to cancel) before that.
""",
    "payment": """
(tapped|pressed) pay once, my {card} shows {amount} two times. (why|which is right)? it was (for|about) a {product}.
my {card} (bounces|gets refused) {where} when I pay for the {product}, works (fine|ok) in every other app.
do you take (PayPal|Google Pay|Apple Pay|cash) for {order}, as my {card} (is lost|is blocked|was stolen)?
(app froze|screen went black) while paying {amount}. (was it taken|has it gone through) or do I pay {order} again?
can I (pay later|pay in parts|pay monthly) for a {product}? {amount} (at once|today) is too much.
{amount} (gone from|taken off) my {card} {when} by your shop and I (ordered|bought) nothing. (explain|what is it)?
""",
    "sizing": """
my (usual|normal) is {size}, the reviews of the {garment} say it is (tiny|huge). (what do I take|which size)?
{garment} in {size} (pinches|hangs on me|is a tent), need (one up|one down). (how do I swap|swap possible)?
do I get the {garment} in {size} for (my teenager|my gran|my brother), (about|around) (150|175|168|190) cm?
the (waist|sleeve|chest) of the {garment}: how many cm in {size}? (no table|no numbers) {where}.
(love|like) the {garment} but it is too (snug|wide|short), is there {size} (left|too)?
will you have {size} again for the {garment}? I set an alert {when}, (no ping|nothing) (yet|so far).
""",
    "discount": """
{code} gives me (nothing|an error) (on a {product}|in the basket), (it should be|I was told) {percent} off.
(installed|got) the app for the {percent} (voucher|coupon), (where is it|it is not there) {where}?
(is there a|any) sale on the {product} (soon|before {day})? (saving up|my budget is {amount}).
(paid|gave) {amount} for the {product} {when}, now it is {percent} off. can I (have|get) that price?
(two|three) discount codes, {code} and a {percent} one, can (both go on|I stack them for) {order}?
my friend (joined|signed up) with my code {when}, where is my {amount} (voucher|bonus|off)?
""",
    "address": """
pinned the wrong (house|spot|street) on the map, {order} has to (go|come) to {street}, {city}.
my (flat|home|office) is at {street} now, (can you update|please change) the address for {order}?
(wrong|old) address (again|still) {where}, I (live|work) at {street}, {city}. (please edit it.|can you edit it?)
send the {product} to my (gran|neighbour|boyfriend) at {street}, {city}, not to (me|my place).
{order} has no (flat number|floor|house number), add it please: {street}, {city}.
(can I|let me) switch the address of {order} to {street} (while it is packed|before it goes out)?
""",
    "password": """
(new phone|got a new phone), and now {place} (wants|asks for) a password I (lost|forgot) (long ago|{when}).
the sign-in code for {place} (is always wrong|never reaches me), I (tried|asked for) (five|six|four) of them since
 {since}.
(kicked out|signed out) of {place} {when}, my password (is refused|fails) (though it is right|and the reset too).
tapped "forgot password" {where}, the mail has (no link|a dead link). how do I (get in|set a new one)?
a (strange|foreign) phone is signed in as me since {since}, from {city}. (should I change|do I need a new) password?
my login is blocked {where} (after one typo|for no reason), (can you open it|unlock it) please.
""",
    "invoice": """
cannot see the (bill|receipt|invoice) for {order} {where}. (where is it hiding|can I have it)? (tax time|my firm asks).
can you (mail|drop) me a PDF invoice for the {product}, (bought|paid) {when}? my (boss|accountant|insurer) is waiting.
the receipt for {order} has (no VAT|my old company|the wrong sum) on it, (please redo it.|can I have a right one?)
(bought|got) the {product} for (work|the office) {when}, need an invoice with (the company name|our tax number) on it.
opened the invoice of {order} {where}: (blank page|error|white screen). (send it by email|can you send a copy)?
all (receipts|invoices|bills) since {since} in one file, (is that possible|can you do that) {where}?
""",
    "account": """
(wipe|erase) my profile and my data, I (deleted|do not use) the app (since {since}|any more).
(mute|stop) the (pings|mails|promos) please, (five|six|ten) since {since}. where is the (switch|setting) {where}?
(typo|mistake) in my (name|email) in my profile {where}, it (does not save|will not let me edit).
updated the app {when} and my (points|wish list|order history) (vanished|went blank). is my account (ok|still there)?
(two|three) profiles with the same email {where}, can you (merge|join) them into one account?
how do I (make|open) an account for my (firm|club|mum) {where}? (mine is taken|the sign-up stops).
""",
    "repair": """
{months} old and my {gadget} (is done for|just beeps|will not heat). (any warranty left|who can repair it)?
broken (screen|button|lid|motor) on my {gadget}, it is (only|about) {months} old. (can I book a repair|is that
 warranty)?
where do I (log|file) a (warranty|guarantee) claim {where}? my {gadget} (failed|quit) after {months}.
(status|update) on my {gadget} in the workshop please, (dropped it off|sent it in) {when}, (no word|silence).
my {cordless} (holds no charge|dies fast) after {months}, do you (sell|fit) a new battery (under warranty|for it)?
repaired {when}, and my {gadget} (leaks|smokes|stops) again. (repair it right|second repair then) please.
""",
}
