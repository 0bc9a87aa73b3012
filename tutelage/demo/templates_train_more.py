"""More sentence templates of the 'train' split, beside `templates_train`."""

TEMPLATES = {
    "delivery": """
nothing in (my|our) (mailbox|letterbox) yet, and the neighbours (took nothing in|have no parcel|know of nothing). it
 was due {when}.
{order}: (no sign of it|still no parcel|nothing so far) after {span}.
my mother is (still waiting|sitting by the window) for her {product}, I ordered it for her {when}. will it (come
 soon|be with her by {day})?
we are a (small café|dental practice|kindergarten|law firm) and (count|rely) on the {fragile} by {day}. will the
 (van|shipment) be on time?
the birthday is {on_day} and the (present|gift), a {product}, is (nowhere in sight|still on the road). will it make it?
the map {where} has shown the van (parked|circling) near {city} since {since}. does my {product} ever (reach me|turn
 up)?
the dispatch (mail|notice) came {when}, then (silence|not a word more). (which firm|who) (carries|brings) my {product}?
I live on the (third|fourth|top) floor without a lift, does the {carrier} carry a {flatpack} (upstairs|to the flat) or
 (only|just) to the kerb?
stuck (at|in) customs for {span}, says the tracking. what can (I|you) do to get my {product} (here|moving)?
the card (through|under) my door says a parcel is at the (depot|post office), but they (cannot find|do not have) it
 there.
we (leave for our holidays|go on a trip) {on_day}, could the parcel with the {product} come (a week later|once we are
 home)?
somebody signed for my {product} {when}, the (scribble|signature|name) is not (mine|from this house). (who has it|where
 did it go)?
in stock and (leaves|ships) within a day, you wrote. {span} later it is (not even packed|still with you). when
 (do|will) I get my {product}?
will a {product} that I order (today|tonight|now) (reach|be in) {city} before (Christmas|Easter|{day})?
""",
    "refund": """
still (out of pocket|short) by {amount}, though (my return|the parcel I sent back) reached you {when}.
the {product} (looked nicer in the pictures|does not suit the room). how many days do I have (to give it back|for a
 return)?
my wife (does not like|already owns) the {product} I bought her. can we (give it back|hand it back) and have the
 {amount} (credited|returned)?
the {carrier} (was to collect|should have picked up) my return {when} and did not. how (do|can) I send it in for my
 money (now|otherwise)?
our company sent back (six|eight|twelve) pieces from {order}, the (credit|reimbursement) of {amount} is
 (outstanding|overdue).
you (kept|withheld) {amount} of my refund as a (handling|restocking) fee. (where is that written|is that even allowed)?
the card I paid with (is closed|has expired|was replaced). (to which account|where) does the (repayment|refund) for
 {order} go?
my aunt gave me the {product} and I (will not keep|cannot use) it. who is (paid back|refunded) when I return it, (she
 or I|the giver or me)?
you (called off|cancelled) {order} yourselves because it was sold out. (when|how soon) will the {amount} be
 (reimbursed|back)?
may I return (sale goods|an opened {product}|a {product} without its box)? I do not (like|want) it and (prefer|would
 rather have) my money.
the return (label|slip) (will not print|is missing|was not in the box). {order} (goes|has to go) back, (unused|not
 needed).
the tracking says my return (got lost|vanished) on the way to you. do I still get (my money|the {amount}) for the
 {product}?
instead of money I (got|was sent) a (voucher|gift card) for the {product} I returned. (please pay it out|I want real
 money).
your colleague wants {span} more before the (repayment|reimbursement) for my returned {product}. why does (it|that)
 take (so long|ages)?
""",
    "damaged": """
(shards|splinters|bits) (everywhere|all over the floor) when I (lifted|took) the (vase|mirror|teapot|picture
 frame|fruit bowl) out of its wrapping.
my daughter was (in tears|so sad): the {product} we gave her had a (defect|nasty mark|broken part) the moment she
 unwrapped it.
(brand new|fresh from the box) and already faulty, the {gadget} only (hums|blinks|clicks|beeps).
our (office|hotel|clinic) received {order} {when}: (one piece was|two pieces were) (cracked|bent|shattered). (will|can)
 you replace what is broken?
the (lid|handle|foot|switch) (came off|fell off|broke off) the first time I (touched|lifted) the {gadget}, it arrived
 {when}.
the (instructions|manual) list (eight|twelve|ten) (bolts|dowels|brackets), my {flatpack} came with (six|five). (post
 me|please post) the others.
there is (mould|a stain|a bad smell|dirt) on the {garment}, (tags still on|never worn). I do not (accept|want) a thing
 like that.
(is this|do you call this) new? the {product} has (hairs|wear marks|dirty prints) all over and the seal was
 (cut|broken).
wobbly, that is the word: one (leg|side) of the {flatpack} is (warped|split|shorter than the rest), it was delivered
 {when}.
I do not (mind|blame) the {carrier}, but (water|rain|oil) got into the box and the {product} is
 (soaked|spoiled|ruined).
could I keep the {fragile} with its (dent|scratch|flaw) if you (take something off|give me part of the price)? it (came
 that way|arrived like this).
(photos|pictures) attached: (dents|cracks|scratches) on the {fragile}, (straight|right) from the delivery (van|box).
my father unpacked his {gadget} {when} and the (plug|cable|casing) was (snapped|broken|split). he (wants|expects) a
 (working|whole) one.
how (quickly|soon) must I (report|tell you about) transit damage? the {fragile} has a (crack|chip) that I (noticed|saw)
 {when}.
""",
    "cancel": """
{order}: please (scrap it|call it off|undo it), (our plans changed|it is not needed now).
(is it too late|is there still time) to (back out of|pull|reverse) {order}? I (pressed|hit) the button (a minute|an
 hour) ago.
my mother (fell for|saw) an ad and ordered a {product} {when}. she (regrets it|does not need one), so do not
 (send|ship) it.
our (budget|project) was (cut|frozen), so we must (revoke|withdraw) our purchase of a {product} before (it
 ships|dispatch).
it turns out I already (have|own) one. (leave|keep) the {product} in the warehouse and (forget|close) {order}.
please send no more (refills|monthly boxes|sample boxes) after {day}, my (plan|subscription) (should end|stops) there.
the status jumped to packing, can (somebody|anyone) still (intercept|halt) it? I (picked|chose) the wrong {product}.
I (started|took) a trial {when} and it (renews|rolls over) {on_day}. how do I get out (of it|in time)?
it was put off by {span} again. I will not wait (that long|any longer), (consider|regard) {order} as withdrawn.
I (found|saw) the same {product} (in town|next door|at a flea market), so please do not (process|pack) {order}.
is there a (fee|charge|penalty) if I (pull out of|drop|cancel) the order for a {product} that has not (left|shipped)?
what I need is one {product}, what I (clicked|ordered) is (two|ten|three). (strike|remove) the surplus before
 (packing|it leaves).
you (refused|rejected) my cancellation of {order}, yet it has not (left|moved) since {since}. please (stop it|try
 again).
about my pre-order of the {product} that (comes out|is released) {on_day}: I (step back|withdraw) from it, (sorry|no
 interest left).
""",
    "payment": """
on my (bank|card) statement {amount} (stands|appears) twice, yet I (bought|ordered) one {product}. (how come|can you
 explain)?
the page (keeps spinning|goes blank|times out) after I confirm (with|) my {card}. was (anything|the {amount}) taken?
for a bank transfer, which (account|IBAN|reference) do I (use|put) for {order}?
we (are a school|run a hotel|are a public office), is (paying later|payment within 30 days) possible for {order}?
my (mum|grandma|aunt) owns no {card}. how (can|could|does) she pay for a {product} (with you|in your shop)?
"(insufficient funds|card not supported|transaction refused)", says the checkout, my bank (sees no reason|is puzzled).
my (salary|pension|pay) comes {on_day}, (can|could) you (collect|debit) the {amount} after that?
the second (instalment|part payment) for the {product} was (taken|collected) {span} too early, my account is
 (overdrawn|empty).
is there a hidden (fee|surcharge)? (my order was|the {product} cost) {amount}, my {card} shows (a bit|three pounds)
 more.
can I (pay|settle) {order} in (euros|dollars), and what (rate|fee) (do you apply|is added)?
a (hold|reservation) of {amount} has sat on my {card} since {since}, although the payment was (declined|aborted).
my bank's (approval|confirmation) screen never (opens|pops up), so I (cannot finish paying|fail to pay) for the
 {product}.
(somebody|a stranger) used my {card} in your shop {when}, {amount} (in all|at once). (stop|reverse) that, I bought
 nothing.
a debt collector (wrote|called) about {order}, which I settled {when} (by transfer|with my {card}). (how can that
 be|why is that)?
""",
    "sizing": """
{size} (drowns me|swallows me|hangs on me like a tent). (a smaller one|one number less) of the {garment}, please.
I (cannot close|struggle with) the (buttons|zip|top button) of the {garment}, is the next size (available|in stock)?
my son is (eight|eleven|six) and (tall|rather slim) for his age, what size of {garment} would he (need|take)?
torn between (two sizes|S and M|M and L): should I (round|go) up or down for the {garment}?
we (outfit|dress) a (choir|team|band) of (nine|twelve) and need the {garment} from (XS to XXL|S to 3XL). does the range
 go that far?
my (chest|waist|hip) (measures|is) (88|94|102|110) cm (by the tape|around), is that {size} in (your|the) {garment}?
do other buyers say the {garment} (comes up|turns out) (short|narrow|roomy)? I am (usually|mostly) {size}.
for my husband I (guessed|picked) {size}, the {garment} (barely reaches|ends above) his (wrists|hips). may we
 (swap|have a longer one)?
does the bike helmet (fit|sit well on) a head of (54|57|61) cm, or do I (need|take) the (larger|smaller) one?
after (the baby|my diet|the winter) nothing fits as before. which (cut|size) of the {garment} do you (advise|suggest)
 instead of {size}?
only (small|tiny|huge) sizes of the {garment} (are left|show up). when (does|will) {size} (return|come in)?
the model (wears|has on) {size}, but how tall is (she|he)? the {garment} (should|must) (reach|cover) my knees.
an exchange, not a refund: the {garment} in {size} (for|instead of) the one (that pinches|I cannot get into|that slips
 off).
with a thick (jumper|layer|vest) underneath, (do|should) I go up from {size} (for|with) the {garment}?
""",
    "discount": """
{code} is (unknown|not valid|already redeemed), says the basket. (I never used it|it came in your mail {when}).
my (nan|uncle|colleague) paid {percent} less for the same {product} {when}. (may I have|do I get) that (price|deal)
 too?
we are a (charity|sports club|nursery) and (order|buy) in bulk, is (a rebate|a special price) possible (for|on) the
 {product}?
(on the poster|in your leaflet|on TV) the {product} was {amount}, here it (costs|is) more. which price (holds|counts)?
I (turn|will be) (sixty|thirty|eighteen) {on_day}, is there a birthday (treat|coupon|surprise) (from you|for
 customers)?
{code} (wants|demands) a basket of {amount}, I am (a pound|pennies|a little) short. can you let it (through|count)?
I have two vouchers, but the (second|other) one (kicks out|replaces) the first (in the basket|at the checkout|). can
 both (count|be stacked)?
I (missed|slept through) the sale by (an hour|a day). would you still (give|grant) me {percent} on the {product}?
part of my gift card is left, (roughly|about) {amount}. how do I (see|spend|check) the (balance|rest)?
(a flyer|a thank-you card|a scratch card) for {percent} off lay in my parcel, the code on it (cannot be read|is
 smudged).
is the {percent} (offer|promotion) for (new customers|app users) only? I (ordered here once|am an old customer).
I (uploaded|showed) my (student|teacher) card {when}, but the reduction is (not showing|nowhere to be seen) in the
 basket.
(my sister|a neighbour) (passed on|gave me) {code}, it seems tied to (one|another) person. can I still (use|redeem) it?
loyal for years and never a (coupon|single percent off). is there (something|a reduction) for regulars on the
 {product}?
""",
    "address": """
{street}, not (where I used to live|the old flat|my ex's place): please (amend|put right) {order}.
autofill (put in|used) my (old|former|parents') address, I (saw|noticed) it after paying. {order} (should go|belongs)
 to {street}.
we (relocated|moved offices) {when}. all (shipments|goods) for our (firm|practice) (go|should be sent) to {street},
 {city} now.
my mother (is in hospital|stays with us|is at a clinic), {order} should (reach|come to) her at {street} (now|instead).
(nobody|no one) is at home {on_day}, could the parcel go to my (neighbour|sister|aunt) at {street} (instead|then)?
is a (PO box|post office box|parcel locker) (allowed|fine) as the (destination|shipping address) for a {product}?
(the app|your map) puts me in (another|the wrong) town, my (road|house) is (new|too new). correct is {street}, {city}.
which (street|house number) did I (give|enter) for {order}? I fear I (swapped|mixed up) (home and work|two digits).
a (digit|letter|line) is missing in my (street|postcode), {city} is right. can you (complete|amend) {order}?
the {carrier} (brings|drops) everything at my ex's (flat|house), your system (still holds|keeps) that address. I am at
 {street}.
the default address (cannot be edited|will not save) {where}, it (jumps|goes) back to the old (one|street).
I live in a student (hall|room) until {day}, then at {street}. which (one|address) (gets|will get) {order}?
please (add|put) the (company name|name of my landlord|floor) on the address of {order}, otherwise (it will not be
 left|the post returns it).
the (country|county) field is (stuck|greyed out), so I cannot (save|enter) {street}, {city} for (shipping|my parcels).
""",
    "password": """
locked out (again|since {since}). no (mail|text), no (code|link), nothing (helps|works).
my (gran|dad|uncle) lost the (note|slip) with the password, how do we (get in|sign in) {where} again?
(three|five) of us share the firm's login and somebody changed the password, now (nobody|no one) can (get in|sign on).
(fingerprint|face unlock) (is refused|fails) after the update, and I (never knew|forgot) the (PIN|passphrase).
caps lock is off, I (copied|typed) it (letter by letter|from my notes), and {place} still says "(invalid
 credentials|wrong combination)".
is it (normal|safe) that you (ask for|demand) a new password every (month|few weeks)? I can (hardly|no longer) remember
 mine.
how do I (turn on|switch off|set up) two-factor (sign-in|login|authentication) {where}?
I (pressed|tapped) the link in the reset mail and (landed|ended up) on the home page, no (field|box) for a new
 password.
an alert (tells|warns) me of a sign-in from an (unknown device|unknown phone) {when}. how do I (kick it out|secure my
 login)?
I have a new (laptop|tablet|browser) and the saved password is (gone|wiped). how do I (retrieve|renew) it?
what (rules apply to|characters belong in) a password? (three|all my|six) (tries|ideas) were (refused|turned down)
 {where}.
the (captcha|picture puzzle) (never ends|fails each time), so I (cannot|do not manage to) (sign in|log on) {where}.
the reset (link|mail) goes to a (mailbox|work email) I have no access to. how else can I (log in|prove who I am)?
I would like to (check|see) {order}, but the login (page|screen) (does not let me in|throws me back|wants a code I do
 not have).
""",
    "invoice": """
a (paper|printed) copy of the bill for {order} by post, please, I have no (printer|computer|scanner).
my (boss|employer|treasurer) will not (reimburse|pay) me without (a receipt|an official bill) for the {product}. can I
 (get|have) one?
my tax return is due {on_day} and I (lack|am missing) the (bill|receipt|invoice) for {order}.
the billing (address|name) on the invoice is (outdated|wrong), our (firm|office) is called (differently|something
 else). please reissue it.
no bill (lay|was) in the box with the {product}, (did you mail|is there) an (electronic|online) one?
{order} was (for two departments|for two people), can you (split|divide) the (bill|invoice) into (two|separate ones)?
before we buy (ten|twenty|thirty) pieces of the {product}, our purchasing (needs|wants) a pro forma (invoice|bill).
I (see|find) VAT at (the wrong rate|zero percent) on the (invoice|bill) for {order}, (is that right|how come)?
a duplicate is needed: the (slip|receipt) for my {product} got (washed|lost|thrown away) {when}.
our purchase order number (must|should) (be|appear) on the invoice for {order}, otherwise accounts (send it back|do not
 book it).
the (invoice|bill) for {order} is (in the wrong language|without a date|without a number), the (bookkeeper|tax office)
 (rejects|returns) it.
as a (freelancer|landlord|club treasurer) I (keep|file) every receipt, the one for the {product} I got {when} is
 missing.
for how (long|many years) do you keep old (bills|invoices)? I (need|want) one from (2019|2021|three years ago) for a
 {product}.
the money for the returned {product} is here, the credit note (is not|never came). our (books|auditors) need the
 (paper|document).
""",
    "account": """
who else (sees|gets|receives) my personal (data|details|information), and how (can|do) I (object|opt out)?
the (birthday|date of birth|phone number) in my profile is (wrong|old), and the field is (locked|greyed out) {where}.
my late (husband|father|aunt) had a customer account (with you|here), how do I (close|delete) it?
the unsubscribe link (does nothing|leads nowhere), every (morning|day) another (ad|newsletter) (pours in|arrives).
my (bonus|loyalty) points (expired|were wiped) {when} without (a warning|a word), they were worth {amount}.
our buyer (left|retired), can her (customer account|profile) be (moved|signed over) to (me|a colleague)?
does it cost (anything|money) to (register|open an account), and what (is it good for|do I gain)?
my review of the {product} (shows|carries) my full name, how do I (hide|change) that (in my profile|{where})?
my (ex|flatmate|brother) sees my (orders|wish list) in our (shared|joint) account, how do I (split|separate) it?
the (language|currency) of my profile (switched|changed) by itself {when}, (where|how) do I set it back?
you send me (texts|push messages) at (night|six in the morning). please take my number off (your|the) (marketing|ad)
 list.
I (misspelt|mistyped) my email when (registering|signing up) {when}, so the profile (cannot be activated|stays
 inactive).
{order} does not (show|appear) in my (history|profile), I (must have|probably) used (another email|a second account).
 can you link it?
I never (registered|signed up) with you, yet your mails (greet me by name|know my birthday). (erase|delete) my data.
""",
    "repair": """
{months} in use and now (dead|silent), my {gadget}. will you (mend|fix) it (for free|under guarantee)?
my (mother's|neighbour's|son's) {gadget} (blew a fuse|started smoking|went black) {when}, it was bought {months} ago.
 (who mends it|what can be done)?
the (wiring|power unit|switch) of our office {gadget} gave out after {months} of (daily|normal) use, do you send a
 (technician|mechanic)?
a spare (knob|seal|fuse|plug) for my {gadget} is (wanted|needed), the old one is worn (out|down) after {months}.
is it worth (mending|fixing) a {gadget} that (failed|broke down) after {months}, and (for how much|who does it)?
"(wear and tear|user error)", says the (service centre|technician|manufacturer) and (declines|turns down) the claim for
 my {gadget}.
it (ran|worked) like (a dream|clockwork) until (recently|last month|this spring), now my {gadget} (stutters|shows an
 error|loses power). can it be serviced?
the (handle|strap|clip) of my (suitcase|pram|backpack) (gave way|came off) after {months}, can it be (mended|restored)?
how do I (pack|wrap) my {gadget} for (the workshop|servicing), and who pays? it (broke|quit) after {months}.
while my {gadget} is (being mended|with your technician), do I get a (loan unit|substitute)? it has been {span}.
the repair (quote|estimate) of {amount} for my {gadget} (is steep|seems high), what exactly gets (replaced|done)?
may I open the {gadget} myself to (change|swap) the (fuse|battery|belt), or does that (void|end) the warranty?
(a reset|a new fuse|cleaning it) did not (help|revive) it: my {gadget}, {months} old, (keeps cutting out|stays dead).
I (paid extra|registered) for the longer guarantee on my {cordless}, now it no longer (charges|runs) after {months}.
 how do I claim?
""",
}
