"""Sentence templates of the 'serve' split, by intent, in the notation and with the labels of `templates_train`.

They speak of the same things in other sentences: who learned what the messages mean keeps up, who learned the
sentences of the 'train' split does not.
"""

TEMPLATES = {
    "delivery": """
still no {product} (here|at my place). the {carrier} (keeps postponing|moved the delivery twice|gives me no date), I
 have been waiting since {since}.
(any idea|any news on) when {order} (arrives|is delivered|gets to {city})? I (leave|go on holiday) {on_day}.
according to the tracking the {carrier} was here {when}. (nobody rang|no card, no call), and the neighbours (know
 nothing|have no parcel).
(it is|we are at) {span} now and the parcel (has not moved|is still at the depot|is nowhere to be found). (please
 chase it|look into it).
what does (shipping|delivery) to {city} cost for a {product}, and (would it|can it) (be here|arrive) by {day}?
the tracking number you (gave|sent) me {when} (is unknown to|means nothing to) the {carrier}. (has the {product}
 even left|where is it|did you forget it)?
I got (one of two|two of three) parcels {when}. the (missing|other) one (has|should have) the {product} in it.
the {product} is a birthday present for {day}. (will it arrive in time|can you speed up the delivery|when does it
 ship)?
(could the {carrier} wait|can you deliver a bit later)? I am (away|travelling|in hospital) until {day} and (nobody
 can take the parcel in|the {product} would stand in the rain).
(marked|listed) as "delivered" at (noon|three o'clock|8 am). (I was home|I sat by the door), no parcel and no
 {carrier}. (who has it|where did it go)?
I need the {product} from {order} (urgently|sooner|as soon as possible), (do you offer|is there) (a faster
 delivery|express shipping|same-day shipping)?
your delivery date (slips|moves) by a day every day. when will I (really|finally) (hold|have) my {product}?
your {carrier} (threw|left) the {product} over the (fence|hedge|wrong gate) {when}. (it is not here|I have never
 seen it), so where is it now?
(two|three) orders from {since}, one is (here|at my door). (will|does) {order} come (separately|later|with another
 {carrier})?
""",
    "refund": """
it has been {span} since the {product} went back to you and (no refund|no money) has (come|reached me). what is
 taking so long?
I am (sending|bringing) the {product} back today. (do I get all my money back|how much is refunded), the {amount}
 (in full|for shipping too)?
(not happy|unhappy) with the {product}, (it is going back|I am returning it). how is the (refund|{amount})
 (paid|returned to me)?
I was told the refund takes {span}. (by now|today) it is longer and you (still owe me|still have) my {amount} for
 the return.
you gave me (store credit|a voucher) for the returned {product}, (I never agreed to that|I want the money). please
 refund it to my {card}.
{order} was called off {when} (by you|because it was out of stock), and yet my {amount} (has not come back|was not
 refunded).
the warehouse (signed for|took in) my {product} {when}. how come (nothing is credited|my {card} shows nothing)?
(is there|where is) a return label for {order}? the {product} (does not suit me|disappointed me) and I (expect|hope
 for) a full refund.
part of the (refund|money) is missing: I (sent back|returned) (two things|a {product} and a {garment}) {when} and
 only {amount} (came in|was credited).
which account (does the refund|will the money) go to when I return the {product}? the {card} I used (is closed|has
 expired).
(can I|am I allowed to) still return the {product} after {span}? the (tags are on|box is sealed) and I would like
 the {amount} back.
(please check|have a look at) the refund for {order}: returned {when}, (receipt of posting attached|posted by
 courier), nothing back (so far|since).
(bought|ordered) {when}, returned (a day later|unused), and (still no|not one) penny of the {amount} (seen|on my
 {card}). (how much longer|when is payday)?
the {product} I (gave|sent) back was worth {amount}, you (credited|refunded) (a fraction|half) of it. (where is the
 rest|why)?
""",
    "damaged": """
(unboxing|opening) the {fragile} was a (sad|bad) surprise: (broken glass|a crack|a dent|scratches) (everywhere|right
 at the front).
what (came|reached me) {when} can only be called (scrap|rubble|junk). the {fragile} did not survive the
 (trip|journey|{carrier}).
I took the new {gadget} out of the box and it (does not|will not) turn on. (first day|brand new) and (nothing
 happens|not a sound).
(is there a way|how do I) to report a broken {fragile}? it (arrived|came) with (scratched edges|a cracked
 panel|dents all over).
the {fragile} (in|from) {order} (arrived with|has) (scratches|a crack|a bent frame) (that should not be there|as if
 it fell). (swap it please|what do we do)?
(a piece|a corner|the back) of the {fragile} (snapped|came) off (before I even touched it|when I lifted it out). do
 you want (a photo|pictures)?
the manual lists (six|eight|four|ten) screws for the {flatpack}, one is missing in the box. (can it be sent|please
 send it), I cannot assemble it.
(poor|terrible) packing: one thin sheet of paper around a {fragile}, (of course it arrived broken|so it is in pieces
 now).
the {garment} (came|arrived) with (a stain|a hole|a torn sleeve|a button off) {when}, I (would not call that|cannot
 gift something so) new.
you can have it back, I am not keeping a {fragile} that (arrives broken|is cracked|was scratched) (on day one|out of
 the box). (money or a new one|refund me).
the replacement for my broken {fragile} came {when}, and (guess what|believe it or not), it is
 (damaged|cracked|broken) too.
(second|another|third) {fragile} in a row with (a crack|a broken edge|dents), {order} (this time|now). (do you check
 anything|what do you propose)?
the {garment} (smells|reeks) and has (stains|holes) (at the back|on the sleeve), and it was sold to me as new
 {when}.
""",
    "cancel": """
{order} (is not needed|should not go out) any more, (please cancel it|do not send it), (I found one|I got it)
 elsewhere.
(too late to call off|can I still call off) {order}? I (bought it|got one) (in town|second hand) (an hour ago|this
 morning).
please do not (pack|ship|send) the {product}, I (picked|ordered) the wrong (model|one) and will order (again|the
 right one).
nothing has (shipped|been sent) yet, so I (would like|want) to (withdraw from|cancel) the purchase of the {product}.
I do not wish to (renew|go on with) the (plan|subscription|box) I (took|started) {when}, (when does it end|how do I
 cancel)?
the button to (withdraw|cancel) is greyed out {where}. (stop {order} for me|can you do it), please.
you (keep moving|have moved) the date, I am done waiting for the {product}. (cancel|scrap|forget) {order} and
 (return|give back) my {amount}.
I meant to order one {product} and (the basket had|ended up with) three. (take two off|cancel two) before it
 (ships|leaves).
(things changed|my plans changed), the {product} is not (needed|wanted) any more. (cancel it|stop the order) while
 (there is time|you can).
how (many days|long) do I have to (cancel|pull out of) an order (placed|made) {when}?
(was my|did my) cancellation of {order} (go through|work)? it (still appears|keeps showing) as (active|open).
{order}: (my wife|my husband|my flatmate) (had already bought|just got) the same {product}. (can you still stop
 it|please do not send it).
(a misclick|my finger slipped) {where}, and now a {product} is on order. (undo|cancel) that (please|for me)?
""",
    "payment": """
I tried (three|four|two) times to pay for the {product} {where}, (each time|always) my {card} (is refused|gets
 declined).
my {card} statement lists your shop two times (with|at) {amount}, (I only bought one {product}|there was one order
 {when}). (why was I charged twice|which one is real)?
(do you accept|can I pay with) (PayPal|gift cards|a foreign card|Apple Pay) {where}, or (only|just) with a {card}?
(after|when) I click "pay" {where} the checkout (spins|loads) forever. (was I charged|did the {amount} go through) or
 not?
what is this charge of {amount} on my {card} from {since}? I (ordered|bought) nothing (then|that day).
you (remind me|sent a reminder) to pay {order} although I paid the {amount} {when}.
is paying the {amount} (in instalments|in parts|monthly) an option for the {product}, and (what does it cost|is
 there a fee)?
the (code|confirmation) from my bank (never comes|fails) {where}, so I (cannot pay for the {product}|am stuck at the
 checkout).
(a wrong|the wrong) sum was (withdrawn|taken): {amount} more than (the confirmation says|the {product} costs).
 (explain that|give it back), please.
my {card} expires (soon|next month), where do I (add|enter) the new (one|number) for (paying|my next payment)?
I made a bank transfer {when} with {order} as the reference, (please confirm the payment.|did the money arrive?)
""",
    "sizing": """
I am (between|torn between) {size} and one size up for the {garment}. (advice|any advice)? I like it (loose|close to
 the body).
my {garment} came {when}, nice, but too tight to (close|button). (have you got|is there) a (wider|bigger) size?
(what|which) size would a person of (180|165|172|190) cm (take|wear) in your {garment}?
{size} is (greyed out|sold out) for the {garment}, (will you get that size again|when is it back in stock)?
the {garment} (is far too big|is huge on me|is much too wide), (and|although) I took my usual {size}. one size
 (less|down) please.
(could you|can you) (measure|tell me) the (length|width) of the {garment} (from shoulder to hem|across the chest),
 for {size}?
I want to (swap|exchange) the {garment} for {size}: (do I pay shipping|how does that work)?
I (lost|put on) weight and the {garment} (from {order}|you sent) (no longer sits right|sits badly). is a
 (tighter|looser) one (possible|in stock)?
does the {garment} (give|stretch) a little (with time|after a while), or will {size} stay (tight|snug)?
the size guide (on the site|{where}) puts me at {size}, the reviews (say|suggest) one size (up|down). (whom do I
 trust|what is right)?
the sleeves of the {garment} are too (short|long), (is there a longer|do you have a different) (cut|version) in
 {size}?
(arms|shoulders) (too narrow|too tight), the rest (fine|perfect): would the {garment} in {size} (solve it|be
 better)?
""",
    "discount": """
{code} takes nothing off (my basket|the {product}). (is the code invalid|is it expired), or (did I|have I)
 (mistyped|missed) something?
(any|are there any) (discounts|offers|coupons) (running|at the moment) for a {product}? {amount} is (a bit much|over
 my budget).
two days after I (bought|ordered) the {product} you (cut|lowered) the price by {percent}. (can you be fair|do I get
 the difference)?
(only subscribed|I only signed up) (for your mails|for the newsletter) because of the {percent} (voucher|on the
 first order), (nothing has come|my inbox is empty) (since {since}|so far).
can {code} and the {percent} for (members|new customers) be (combined|used together)?
where do I (type in|put) my (discount|coupon|voucher) code {where}? I (see|find) no field for it.
I hold a (student|teacher|press) card, (is there a discount|do I get a lower price) on the {product}?
we are a (school|club|small firm) and want (twenty|thirty|fifty) of the {product}, is there a quantity
 (discount|price)?
my gift card from {since} (has expired|shows zero), though (nothing was bought with it|I never used it). it was
 {amount}.
you (advertise|announce) {percent} on everything and then (exclude|leave out) the {product}. is that (serious|fair|a
 mistake)?
(the {percent} off|the voucher) was not (deducted|applied) on {order}, (please credit the difference|I paid the full
 price).
""",
    "address": """
(there is|I made) a typo in the address of {order}: it (must|should) be {street}, {city}.
(we moved|I am moving) to {city} (soon|{on_day}|this month), (make sure|please see) that the {product} (goes|is
 sent) to {street}.
(can you|could the {carrier}) (deliver|bring) the {product} to {street}, (my office|my work), and not to my home
 address?
my new (home|place|address) is {street}, please (note|save) that, {order} (should|has to) be sent there.
your system (insists on|picked|took) my old (flat|place|street). {order} has to go to {street}, {city}.
the house number is (missing|wrong) on {order}. (it is|make it) {street}, {city}.
I want the {product} (sent|shipped) to a friend at {street}, but the (bill|invoice) to (me|my own address).
(is it too late|am I too late) to (pick|give) a different delivery address for {order}, say {street}?
the map {where} (puts|shows) my address in the wrong (town|street), and parcels (end up|go) (there|at a stranger's).
the postcode and (town|city) (do not match|got mixed up) (on|in) {order}, the right address is {street}, {city}.
(change where|correct where) {order} is (headed|going), please: {street}, {city}. (nobody|no one) lives at the
 (other|first) one (now|any more).
""",
    "password": """
typed it (ten|five|six) times {where}, (sure|certain) it was right, and now (your site|the page) (shuts me out|has
 locked me out|will not let me try again).
no reset mail arrives when I (click|press) "forgot password" {where}, (my spam folder is empty|I tried it {when} too).
I am (stuck|trapped) at the (login|sign-in) (screen|page) of {place}, my password is (refused|not accepted).
the (security|login) code for {place} (comes|arrives) (too late|an hour later), (by then|then) I cannot (log|sign) in
 with it.
(I got|there was) a mail about a login from {city}. that (was not|is not) me. should I (change my password|set a new
 password)?
(I lost my phone|my phone was stolen|my phone broke) {when} and (the login codes go there|it had the app for the
 codes). how do I (get back in|sign in now)?
(which|what) (characters|signs) are allowed {where}? every new password I (pick|try) (since {since} |)is (turned
 down|rejected).
the link in your mail for (choosing|setting) a new password (opens|shows) (an error|a blank page) {where}.
I (would like|want) to (stop using|drop) the password and (log|sign) in with my (fingerprint|phone) {where}. is that
 possible?
{place} (does not let me in|does not log me in) since (the update|{since}), even after I (reinstalled it|changed the
 password).
""",
    "invoice": """
(our bookkeeping|my tax office|my boss) (wants|insists on) a proper invoice for {order}, (the mail is not
 enough.|could you issue one?)
I (look for|miss) the (paperwork|papers) for the {product} from {since}. (a PDF would do|nothing was in the box but
 the {product}).
(please|kindly) (reissue|redo|correct) the bill for {order} with (our VAT number|the firm's name|the right company
 name) (on it|at the top), (it has mine|it shows none).
the (tax|VAT) (is missing|was left out|is wrong) on the invoice for {order}, I cannot (book|file) it like that.
(can I|how can I) (print|download) (last month's|all my|older) invoices (in one go|from {place})?
the sum on the bill, {amount}, (differs from|is not) what I (paid|transferred). (which one is right|can you fix the
 invoice)?
I expense the {product} at work and (need|lack) a (receipt|bill) (with|showing) the {amount} and the date.
(do you|could you) (send|issue) (electronic|paper) invoices? (ours|they) must go to (accounting|another department)
 directly.
the (download|link) to the (receipt|invoice) of {order} (ends in|gives me) (an error|nothing|an empty file).
my insurance (wants|asks for) proof of what I paid for the {product} {when}. (could I have a copy of the bill|is
 there a duplicate receipt)?
""",
    "account": """
I (no longer want|do not want) to be a customer (with you|here) from {day}, please (erase|delete) my
 (data|account|profile).
(too many|so many) (mails|newsletters) from you since {since}. (take me off|remove me from) (the list|every list), (I
 asked {when}|for good).
my name in the (profile|account) is (misspelt|my old one), and (I cannot change it|the field is locked) {where}.
what happened to (the|my) bonus points (of|from) {order}? I (counted|expected) {amount} worth (in|on) my account.
(under|according to) the privacy law I (ask|want|have a right) to see (what you know about me|a copy of my personal
 data|all data on me), (within {span}|please).
I ordered as a guest {when}. can (that order|{order}) be (linked to|shown in) the account I (made|opened) since?
(is there|do you have) (a way|a setting) to let my (wife|team|colleague) (order|shop) with my (account|profile)?
I (use|have) a different email (address|) since {since}, how do I (change|update) it {where}?
(joining|becoming a member) {where} fails: it (claims|says) my email is (taken|in use) already. (by whom|I am new
 here).
my (wish list|order history) (is gone|vanished) from my account (since {since}|after the new version). can it be
 (restored|brought back)?
""",
    "repair": """
{months} of (light|normal|daily) use and the {gadget} (is broken|no longer works|died). (who pays the repair|is
 there a guarantee)?
what (is covered|do you cover) under the (warranty|guarantee) if a {gadget} (fails|breaks) (within|after) {months}?
(is there|do you have) a (repair shop|technician) near {city}? my {gadget} (leaks|smokes|gets too hot) since
 {since}.
(can a|could a) {gadget} be (repaired|fixed)? the (switch|motor|plug|cable) (came off|broke|wore out) after
 {months}.
the {gadget} you repaired {when} has (stopped|failed) again. (third|second) repair now, (same fault|nothing gained).
I bought my {cordless} {months} ago, it (loses power|goes flat) (within minutes|all the time). do I still have a
 (warranty|guarantee)?
(do you stock|where do I get) spare (filters|parts|batteries|blades) for a {gadget} that is {months} old?
(any news|news) (on|about) my {gadget}? your (technicians have|workshop has) had it (in pieces|on the bench) for
 {span}.
I bought the longer (warranty|guarantee) for my {gadget}, (how do I use it|what must I do), now that it
 (broke|failed) after {months}?
my {garment} (came apart|frayed|tore) within {months} of (wear|careful wear). is that a case for the
 (warranty|guarantee)?
""",
}
