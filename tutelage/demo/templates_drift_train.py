"""Sentence templates of the 'drift-train' split, by intent, in the notation of `templates_train`.

The shop now has an app and four services more, and people write as they chat. Of the twelve older intents only the new
wording stands here; the older one goes on beside it (`corpus.OLD_WORDING`). Labels follow the rule of
`templates_train`, and beyond it: whatever concerns a thing on hire is `rental`, lettering on a thing is `inscription`
(also where it went wrong), old things and waste that have to go are `recycling`, a visit to a shop with a door is
`store`. The names here are of the matter; what the desk calls it since is `phrases.MERGED`.
"""

TEMPLATES = {
    "rental": """
can I (rent|hire|borrow) a {hire} from you for a {event} {on_day}, and (what does it cost|what would I pay)?
how much is it to (rent|hire) the {hire} for (a day|{span}|the weekend)? I (would rather not buy|hardly need to own)
 one.
do I (have to|need to) leave a deposit (when I rent|for renting|to hire) a {hire}, and (how much|for how long)?
the rental (ends|is up|runs out) {on_day} but I still need the {hire}. can I (extend it|keep it longer|add {span})?
where do I (hand in|drop off|bring back) the {hire} I (rented|hired) {when}? the rental is (over|up) {on_day}.
is the {hire} (free|available) to (rent|hire) from {day} (for {span}|for a {event})?
(saw|noticed) that you (rent out|hire out) things now. is there a {hire} (too|to rent|in the rental list)?
I rented a {hire} {when} and (returned it|gave it back) (a day late|two hours late). (what is the late fee|do I pay
 extra rent)?
what if (I|my kids|my guests) (break|scratch|lose) the {hire} while we (rent|hire) it? (is it insured|who pays)?
can I buy the {hire} after (renting|hiring) it for {span}? (does the rent count|is the rent taken off the price)?
rental (booking|reservation) for the {hire}: can we (move|shift) it to {day}? the {event} (is postponed|was moved).
do you rent a {hire} out (by the hour|by the day|per week)? I see no rental (prices|rates|terms) {where}.
the monthly rent for my {hire} (went up|rose) to {amount}. is that (in the rental contract|what we signed)?
I want to (try|test) a {hire} before I buy one. (how does renting work|can it be rented) (with you|{where})?
is (cleaning|fuel|a charger|insurance) included if I (rent|hire) the {hire} for {span}?
my deposit of {amount} for the rented {hire} (is not released|is still held). I (gave it back|handed it in) {when}.
I (need|am looking for) a {hire} on loan for a {event}, {span} at most. do you (lend|rent|hire) such things out?
what is the (shortest|longest) rental (time|period) for a {hire}? I (just|only) need it (for a {event}|{on_day}).
our (builder|gardener|foreman) still has your {hire} on loan and the job (drags on|is not done). what does each further
 day cost us?
(wanted|needed): {hire} for one (afternoon|evening), (not to keep|just on hire), back with you the same day. your (day
 rate|charge) please?
the {hire} you lent us (would not start|gave up|jammed) in the middle of the {event}. do we still owe the (full|whole)
 hire fee?
could our (club|school|choir) have (four|six|ten) of the {hire} for the {event} and bring all of them back {on_day}?
 (any|is there a) group tariff?
the handover (sheet|report) blames us for a (scuff|dent) on the {hire} and you kept {amount} of our deposit. it was
 there (before|when we got it).
what (ID|papers|proof of age) must I show to take a {hire} out on loan for (the day|{span}), and who signs if it is for
 (a firm|my dad)?
our {event} is (rained off|called off), so the {hire} we (reserved|had booked) for {span} is not needed. do you keep the
 hire charge?
the loan period for the {hire} (started|began) {when}, but (nobody brought it|it is not here). do I pay for days (when I
 had nothing|without it)?
""",
    "inscription": """
can you engrave {lettering} on (the|a) {keepsake}? it is a (gift|present) for {relative}.
how much is (engraving|an engraving) on the {keepsake}, and how many (letters|lines|words) (fit|can I have)?
the engraving on (my|the) {keepsake} (has a typo|says the wrong name|is crooked). (can you redo it|what now)?
which (fonts|letter styles) can I pick for the engraving? I would like (italics|block letters|old script) on a
 {keepsake}.
(where|how) do I (type|enter) the engraving text {where}? the {keepsake} (has no box|shows no field) for it.
I (forgot|left out) the engraving on {order}, can you still (engrave|put) {lettering} on the {keepsake}?
does engraving (take longer|add days)? I need the {keepsake} with {lettering} (by|before) {day}.
please change the engraving (text|words) on {order} to {lettering}, (I misspelt it|the first was wrong).
can (both sides|the back|the lid|the inside) of the {keepsake} be engraved too, (say|perhaps) with {lettering}?
is the engraving on a {keepsake} (done by laser|done by hand|deep), and will it (fade|wear off) after {months}?
I would love my {keepsake} (personalised|engraved) with {lettering} for {relative}. (can you do that|is that
 possible)?
can I send (my own drawing|a logo|a handwritten note) to be engraved on a {keepsake}? (which file|what format)?
are (emojis|accents|Greek letters|hearts) allowed in the engraving? it is on a {keepsake} for {relative}.
can I see a (preview|picture|sketch) of the engraving before you (start|engrave) the {keepsake} in {order}?
I bought a {keepsake} {when}, could you engrave (it|initials on it|{lettering} on it) (now|later) if I send it in?
my {keepsake} came {when} without (the engraving|the initials), though I (paid for|typed in) {lettering}.
do you (engrave|personalise) (ten|twenty|fifty) of the {keepsake} for a {event}, each with (a name|other initials)?
could the (winner's|captain's|sponsor's) name be put on a {keepsake} every (year|season), one below the other, for our
 (club|choir|firm)?
after {months} the lettering on my {keepsake} is (faint|hardly legible|half rubbed off). can it be (cut deeper|gone over
 again)?
it should say "with love" on the {keepsake}, yet (it reads|you cut) "(wth love|with lvoe|whit love)". {relative}
 (laughed|noticed at once).
{lettering} on the {keepsake}, (small capitals|gothic script|like handwriting) please. what is the surcharge for
 (that|such a monogram)?
{relative} (has a birthday|is being honoured) {on_day}. is there time to have {lettering} (etched|inscribed|carved) into
 a {keepsake}?
can (old|someone's) initials be (polished|ground) off a {keepsake} so that {lettering} can (take their place|go there
 instead)?
on the (draft|proof) you sent, the dedication on the {keepsake} sits too (low|far left|near the rim). (centre it|move
 it) before you start.
{amount} for (a monogram|an inscription|lettering) on a {keepsake} is (steep|a lot) when it is only {lettering}. do you
 charge (per letter|per line)?
""",
    "recycling": """
can you take my old {junk} (away|with you) for recycling when the {carrier} brings the new one?
do you (recycle|take back) old {waste}? I have a (bag|drawer|box) full of them (here|in {city}).
where can I (recycle|get rid of|throw away) (the|my) old {waste} (near|in) {city}?
how do I (dispose of|recycle) an old {junk}? (nobody wants it|it only takes up space|it is just scrap).
is it free to have my old {junk} (collected|hauled away) for scrap, or (is there a fee|does it cost {amount})?
what do I do with the (boxes|plastic bags|foam blocks) that came with my {product}? can (they|these) be recycled?
which bin do I use for old {waste}: (paper|plastic|glass) or (household|general) waste?
do I get (points|a few pounds|something) for (handing in|bringing back) my old {junk} for (recycling|scrap)?
(nobody|no one) (came|turned up) to (collect|pick up) my old {junk} {when}. it was booked for (recycling|disposal).
can I book a (collection|pick-up) for an old {junk} {on_day}? it (has to go|is heavy|has to be scrapped).
is your (packaging|wrapping) recyclable? there was (so much|a mountain of) (foam|plastic|cardboard) around the
 {product}.
does your (recycling|take-back) (scheme|programme) accept {waste} and an old {junk} too?
I want to (hand in|send in) my old {junk} for recycling. do I need a (form|label|date)?
do I have to (empty|clean|wipe|unplug) the old {junk} before you (take it for recycling|scrap it|recycle it)?
the law says shops (must|have to) take old {waste} back for recycling. (where in {city}|how) do you do that?
what do you do with the old {junk} you (collect|take back)? is it (really|all) recycled (or just dumped|)?
can the (crew|driver) (carry|bring) my old {junk} down (two|three|four) floors and (scrap|recycle|dump) it?
our (school|office|surgery) is clearing out: (sacks|crates) of used {waste} and a dead {junk} must go. do you
 (fetch|accept) such things from firms?
the crew brought the new {junk} {when} and left the old one (in the hall|on the pavement), though taking it away was
 (agreed|paid for).
my late (aunt|uncle|grandad) left a {junk} that is (fit for the tip|beyond use). will you (fetch|scrap) what was not
 bought from you?
old {junk}, (ground floor|cellar|third floor), {city}: when could you haul it off, and (at what cost|is that free)?
the drop box for empty or used {waste} (was full|was chained up|vanished) {when}. where else (can they go|do I leave
 mine)?
who wipes the (photos|files|data) on an old (laptop|tablet|phone) once it is (shredded|taken apart|handed in as
 e-waste)?
could you take back the (pallet|crate|polystyrene|bubble wrap) my {product} came in? our bins (overflow|are full), it is
 such a waste.
a (leaking|swollen) battery from an ancient {cordless} lies here. may I (post|bring) it to you or is that hazardous
 waste (for the tip|)?
""",
    "store": """
is your {branch} open {hours}? (the app|the map) (does not say|shows no opening hours).
when does your {branch} (open|close) {on_day}? I (want|plan) to (come by|drop in|visit).
do you have a (shop|store) in {city} where I can (look at|see|touch) the {product} (in person|myself)?
is there (parking|a car park|a bike rack) at your {branch}, and (is it free|what does it cost|is it full) {hours}?
is the {product} on (display|show|the shelf) (at|in) your {branch}? I would like to see it in person.
do I need an appointment (for|at) your {branch}, or can I just (walk in|turn up) {on_day}?
the (lady|man) (at the counter|at the till) in your {branch} was so (kind|rude|helpful) {when}. whom do I tell?
can I get into your {branch} with a (wheelchair|pram|dog|rollator)? is there a (lift|ramp)?
I stood (before|in front of) a closed door at your {branch} {when}. (the app|your site) said open (till eight|from
 nine).
how do I get to your {branch} by (bus|train|tram|bike), which (stop|exit) is (nearest|best)?
I left my (umbrella|scarf|phone|purse|bag) in your {branch} {when}. did the staff find it?
are you (opening|planning) a (new |)(store|shop|branch) in {city} (soon|this year)? (I heard so|the paper says so).
the queue at the till in your {branch} was (endless|an hour|half an hour) {when}. (when is it quiet?|open more tills.)
is there a (cafe|toilet|play corner|fitting room) in your {branch}? I visit with (kids|my mother|a baby) {on_day}.
how can I (call|phone|reach) your {branch}? I want to (ask|talk to) the (staff|manager) there about a {product}.
does your {branch} have a {product} on the shelf {on_day}? I would (drive|come|walk) over (at once|myself).
is your {branch} (still closed|being rebuilt|moving)? I walked past {when} and (it was dark|there was scaffolding).
do the staff at your {branch} (show|explain) how a {gadget} works (in person|on the spot|at the counter)?
could someone at your {branch} (put aside|keep back) a {product} under my name until I (get there|pop in) {on_day}?
(gran|my dad|my aunt) hates (screens|online shopping), so we are off to your {branch}. is anyone there to (advise|serve)
 us {hours}?
the card reader at your {branch} was down {when} and the (cashier|assistant) (sent us away|took only cash). does it work
 again?
I am staying near {street} in {city}. which of your shops could I (walk|cycle) to, and (until when|how late) is it open?
{branch}, {hours}: (open or shut|crowded or calm)? I am (in town|nearby|passing through) {on_day}.
we are a (school class|coach party|group of twenty) and would like to look round your {branch} {on_day}. (is that all
 right|shall we book)?
there is a {product} in the window of your {branch} with no price tag. (may I buy that one|will the staff take it out
 for me)?
it was so (hot|loud|crammed) between the aisles of your {branch} {when} that we (turned round|walked out) at the door.
""",
    "delivery": """
the push message said my {product} (arrives|comes) {on_day}, nothing came. where is (it|the {carrier}) (now|stuck)?
the van on the live map has (stood still|not moved) since {since}. is my {product} (in it|coming at all)?
pls check (where|how far) my {product} is, (ordered|paid) {when}, (zero|no) updates {where} so far.
any chance the {carrier} (comes|delivers) before {day}? I (really|so) need that {product} (soon|asap).
the app (says|pinged) "delivered" but (no box|no parcel|nothing) at my door. where did the {carrier} leave my
 {product}?
got (one box|half my stuff) {when}, where is the (rest|other parcel) of {order}?
the tracker puts my {product} in (Poland|a depot abroad|the wrong country), I live in {city}. (is it coming back|when
 does it get here)?
our (office|cafe|practice) has been expecting {order} since {since}, the (porter|caretaker) signed for nothing.
still (empty-handed|waiting by the door): one {product}, paid {when}, due (days ago|by now). what is the hold-up?
missed the {carrier} {when} and found no (card|slip) in the letterbox. (when is the second try|where is my box now)?
nobody is home before {day}, can the {carrier} bring the {product} (after that|a bit later|another day)?
my (gran|neighbour|aunt) bought a {product} {when} and asks me (daily|every hour) whether it has (shipped|left the
 warehouse).
""",
    "refund": """
sent the {product} back {when}, (still no cash|no money back yet). (when do I get it|where is my {amount})?
the app shows "refund (done|sent)" but my {card} (disagrees|shows nothing). it is about {amount}.
want to (return|send back) the {product}, (never opened|not my thing). how do I get my {amount} back {where}?
what about my {amount}? you (got|received) the {product} back {span} ago, (no refund|nothing) (yet|so far).
returned {order} (with|by) the QR code {when}. (is the refund coming|when is the money back) on my {card}?
only got {amount} back for the {product} I returned, (some is missing|that is short). pls (check|refund the rest).
the {product} went back {when} and your warehouse (signed for it|has it), but my bank balance (has not moved|is as
 before).
how long have I got to give back a {product} I (regret|never opened), and will all of the {amount} be repaid?
you refunded {amount} to a {card} that I (closed|lost) {when}. how do I get at (that|the) money now?
my gift to {relative} was a flop, the {product} goes back (unopened|unused). does the money come to (me|my {card})?
I called off {order} {when}, (in time|before it shipped), so why (are you still holding|do you still keep) my {amount}?
our firm returned (three|eight) of the {product} {when}, and (accounts|our bookkeeper) still sees no (repayment|money)
 from you.
""",
    "damaged": """
just unboxed my {fragile}, it is (cracked|bent|smashed). (photo|pic) in the chat. (new one please|what now)?
my {fragile} (turned up|landed here) (broken|in bits|all scratched) {when}. (another one pls|not cool).
my brand new {gadget} is dead on day one, (no light|no sound|nothing) (out of the box|at all). (swap it pls|what
 now)?
huge (dent|crack|scratch) on the {fragile} that (came|got here) {when}, (see pic|pics on request).
unpacked the {garment} {when} and there is a (hole|stain|ripped seam) in it. (not worn once|tags still on).
(screws|bits|bolts) missing from the {flatpack} box, (cannot build it|stuck half way). pls send them.
the {fragile} I just got is a (wreck|pile of shards|write-off), the box had (a footprint|tyre marks) on it. replacement
 please.
birthday (ruined|spoilt): the brand new {gadget} {relative} unwrapped {when} (never came on|has a cracked case).
the {flatpack} came with (the wrong bolts|a split panel|two left sides) and cannot be (put up|built). (send|I need) the
 right part.
is a (chip|scuff|hairline crack) in a {fragile} I unwrapped {when} (reason enough|grounds) for a new one?
our (restaurant|hotel|studio) got (six|four) of the {fragile} {when}, (two|half) of them (shattered|dented) in the
 carton.
the seal was (broken|cut) and the {product} in the box (is dirty|smells of smoke|has been used). I paid for a new one.
""",
    "cancel": """
pls cancel {order}, I (tapped|hit) buy on the {product} (by mistake|too fast|half asleep).
changed my mind on the {product}, can you (stop|kill|cancel) the order (before it ships|today)?
where is the cancel button in the (new|) app? I want {order} (gone|stopped|called off).
my kid (tapped buy on|bought) a {product} on my phone {when}. (cancel that please|stop it before it ships).
do not ship {order} pls, I (got|found) the {product} (elsewhere|cheaper|in town) (and want to cancel|).
how do I (stop|quit|end) my (plan|monthly box|membership) {where}? I do not want (next month|another one).
second thoughts about {order}, it is still (with you|being packed). (undo|drop|revoke) it for me please.
{relative} (bought|gave) me the same {product} {when}, so mine is (pointless|not needed). please do not send {order}.
is there a (deadline|fee) for backing out of {order}? I (placed it an hour ago|tapped buy today), it is not on its way.
my (trial|plus plan|subscription) ends {on_day}, (make sure|see to it) that it does not renew. I (never use|no longer
 want) it.
our (intern|buyer|trainee) ordered (fifty|ninety) of the {product} instead of five. can you (halt|void) that before it
 leaves?
the {product} is on pre-order (for ages|till {day}) and I no longer want it. (strike|void) {order}, I am out.
""",
    "payment": """
the app will not take my {card}, "(payment failed|declined)" (every time|three times now). (what is wrong?|the money
 is there.)
you charged me {amount} twice for (one|the same) {product}, (look at|check) {order} pls.
can I pay with (a QR code|Apple Pay|Google Pay) {where}, or (just|only) by {card}?
the pay button (does nothing|spins for ever|is grey) {where}. (did my {amount} go through|was I charged)?
what is this {amount} from you on my {card} since {since}? (not mine|I bought nothing then).
can I split the {amount} (in three|over a few months|into instalments) when I pay for the {product}?
my banking app shows {amount} twice with your name, (same minute|same day), though I placed (one order|only {order}).
my bank (asks|wants) me to approve {amount}, I tap yes and your checkout (times out|goes back to the start).
can our (company|club|school) pay (after thirty days|by direct debit), or is it (prepayment|card) only?
{relative} wants to pay half of the {product}. can I (use|enter) two cards for one (basket|order)?
why was my {card} debited in (euros|dollars) for the {product}? the checkout (said|showed) {amount} in pounds.
my {card} (expired|was replaced) {when}, the new number (gives an error|is turned down) and {order} stays unpaid.
""",
    "sizing": """
{size} or one size up for the {garment}? I am (tall|short) and (slim|curvy|broad).
the {garment} is (way too small|super tight|miles too big) on me. can I swap it for {size}?
how does the {garment} fit, (small|true to size|big)? I (mostly|always) (wear|take) {size}.
no size chart for the {garment} {where}. is {size} ok for (170|180|160|188) cm?
tried on the {garment}, the (sleeves|shoulders) are too (long|tight). got it in {size}?
when is the {garment} back in {size}? the app (says|shows) (sold out|none left) since {since}.
buying the {garment} for {relative}, who is (rather broad|between sizes|very slim). would {size} (do|work)?
torn between {size} and the one above for the {garment}, it goes over (a thick jumper|several layers). which is it?
cannot (lift my arms|breathe|sit down) in the {garment}, so {size} was (optimistic|a mistake). is a roomier one left?
the {garment} (swallows|drowns) me, I (could fit in twice|look lost in it). have you got it smaller than {size}?
our (team|crew|choir) needs the {garment} from S to (XL|XXL). is there a (measuring guide|set to try on)?
does {size} in your {garment} equal (a US 8|an Italian 44|a German 42)? I mostly buy (abroad|other labels).
""",
    "discount": """
code {code} (does nothing|fails|is dead) {where}. (is it over|did I miss something)?
where is the {percent} off for (installing|using) the app? I (see|got) no code (yet|so far).
any (deals|codes|coupons) for a {product} (right now|this week)? {amount} is (steep|a lot).
the {product} is {percent} (cheaper|less) today, I paid full price {when}. do I get the difference?
do (students|nurses|teachers) get (money|something) off {where}? I want (a|that) {product}.
forgot to (add|type) {code} on {order}, can you (still|please) take the {percent} off?
it is my birthday {on_day}, do I get a (treat|voucher|little something) off the {product} (in the app|)?
the countdown for {percent} off ended (early|too soon) while I was (paying|choosing a {product}). can I still have it?
{relative} got {percent} off with that code, for me it says "(not eligible|not for you)". (why is that|same app)?
the total does not (drop|budge) one penny when I (put in|apply|type) {code} for the {product}.
would you knock {percent} off the {product} if our (office|cafe|nursery) takes (a dozen|several)?
is the (flash sale|half-price offer) on the {product} (over|gone) already? the banner said until {day}.
""",
    "address": """
oops, wrong (street|house number|flat) on {order}. the right address is {street}, {city}.
moved {when}, pls send {order} to {street}, {city} (now|instead).
how do I change my address {where}? the new one is {street}, {city}.
the app (filled in|saved|guessed) my old address. {order} must go to {street} (please|in {city}).
can you ship the {product} to (my mum|my office|a friend) at {street} (instead|this time)?
the postcode is wrong on {order}, (fix it pls|can you edit it): {street}, {city}.
the street is (right|fine), the town is not: {order} belongs in {city}, {street}. please (alter|amend) that.
our (firm|practice|studio) has (relocated|a new building), so {order} should go to {street}, {city}.
please put "(care of Baker|rear entrance|second floor)" on the label of {order}, (my bell has another name|or it comes
 back).
I am (in hospital|away|at my sister's) until {day}, can {order} be (diverted|sent on) to {street}, {city}?
{relative} gave me the wrong door number, the (gift|present) in {order} must go to {street}.
the checkout (swaps|mixes up) my billing and shipping address. the {product} belongs at {street}, (bills|the rest)
 elsewhere.
""",
    "password": """
the app logged me out and (rejects|does not take) my password (since {since}|any more|on my phone).
forgot my password (again|sorry), the reset link (is dead|never comes|opens nothing) {where}.
(face unlock|my fingerprint|face ID) (stopped|does not work) {where}, how do I (log in|sign in) now?
no login code by text since {since}, I (cannot get in|am stuck at the sign-in) {where}.
too many (tries|wrong passwords), locked out {where}. pls (let me back in|unlock me).
someone logged in as me from {city} {when}! pls (reset|change) my password (now|quick).
it asks for a (passkey|PIN|passcode) I never set, so I cannot get past the (first|sign-in) screen {where}.
new phone since {since} and the (authenticator|code app) on it is empty. how do I (get in|log on)?
{relative} cannot (sign in|log on) since {since}, it says "(wrong details|invalid login)" {where}.
which (email|number) did I register with? I have no idea, so every login (fails|is refused) {where}.
our whole (team|office) uses one login, someone changed the password {when} and now we are (shut|locked) out.
does a password need (symbols|capitals|twelve characters)? every new one I (try|enter) is turned down {where}.
""",
    "invoice": """
need the (invoice|receipt) for {order} as a PDF, (cannot find it|no idea where it is) {where}.
where do I (get|download) (a receipt|the bill) for the {product} {where}? it is for (work|my taxes).
pls put (our VAT number|my company name) on the invoice for {order}, it (is blank|shows nothing).
the bill says {amount}, I paid (less|more) for the {product}. (can you fix the invoice?|new invoice pls.)
my (boss|accountant) wants the (receipts|bills|invoices) (since {since}|of last month). can you (mail|send) them?
the invoice link {where} (is dead|loads for ever|gives an error). just (send|mail) me the bill for {order}.
my (expenses|tax return|claim) must be in {on_day} and I have no paper for the {product}. (bill|receipt) please.
the bill for {order} is in the name of {relative}, it should (carry|show) (our firm|the company).
does the (bill|receipt) come (in the box|by email)? I (see|have) none for the {product} I got {when}.
our (purchase order|cost centre) number is not on the bill for {order}, (accounts|finance) will not (book|accept) it.
you (issued|mailed) two invoices with (different dates|the same number) for {order}, which one (counts|is valid)?
can the invoice for the {product} be in (German|French|Spanish)? my (client abroad|customs office) asks for it.
""",
    "account": """
delete my (account|profile) and all my data pls, I (shop elsewhere|am done with the app).
so many (push messages|newsletters|ads) since {since}, how do I (turn them off|opt out) {where}?
how do I change the (name|email|phone number) in my (profile|account)? (cannot tap it|the field is grey) {where}.
my points (are gone|show zero) after the app update, I had {amount} worth (on my account|in my profile).
can my (wife|flatmate|son) and I (share|use) one account {where}, or (do we need two|is that not allowed)?
signed up {when}, (no confirmation mail|my account is not active). can you (activate it|resend the mail)?
what do you know about me, and who (sees|buys) it? I want (a copy of|to see) my personal data {where}.
my (late husband|late mother|grandad, now dead,) still has a profile with you, please (close|erase|remove) it.
turn off the (late-night pings|daily alerts|texts about offers) please, (they wake the baby|my phone never stops).
where did my (wish list|order history|favourites) go? my profile (shows nothing|is blank) since {since}.
our (firm|club) has a new (buyer|treasurer), how do we (hand over|transfer) the customer account to her?
how do I (link|merge) the app profile with the one I (had|made) on your website? my points are (split|in both).
""",
    "repair": """
my {gadget} (quit|died|gave up) after {months}, (does the warranty cover it|can you repair it)?
had the {gadget} for {months}, now it (leaks|smokes|will not start). where do I send it for repair?
what about the (warranty|guarantee) on a {gadget}? mine is {months} old and (acts up|makes noises).
is my {gadget} (fixed|repaired) yet? your workshop has had it (since {since}|for {span}).
any spare (parts|filters|batteries) for my {gadget}? it is {months} old and (needs them|worn out).
the battery of my {cordless} (dies|is flat) in (minutes|an hour) after {months}. is that a warranty case?
{months} with the {gadget} and now the (switch|motor|hinge) is gone. can your people (mend|fix) that?
our (cafe|salon|workshop) relies on a {gadget} of yours, it (seized up|burnt out) after {months}. (can an engineer
 come|how fast is a repair)?
the {gadget} came back from your (technician|workshop) {when} and (does the same again|is no better).
is a {gadget} that is {months} old worth (mending|fixing), and what does (an estimate|a technician) cost?
{relative} (opened|unscrewed) the {gadget} after {months} of use, is the (guarantee|warranty) void now?
the warranty ended {when} and the {gadget} (died|failed) (hours|a day) later. would you still fix it (as goodwill|free)?
""",
}
