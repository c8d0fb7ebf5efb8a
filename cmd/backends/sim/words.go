package sim

// locale is what names and addresses of one region are made of. A name that is not plain ASCII carries a second form
// for e-mail addresses after a bar.
type locale struct {
	weight      int // of 100 customers
	country     string
	code        string // ISO 3166-1 alpha-2
	language    string // as in Salesforce and HubSpot: "en_US"
	calling     string // country calling code
	zone        string // IANA
	street      string // format of street name and number
	first, last []string
	streets     []string
	towns       []town
}

type town struct{ city, state, postal string } // postal is a format of one number below 100

// locales are ordered; the first is where the fixed customers live. Accents come both composed and as combining marks
// (\u0301 and the like), because both are found in real databases.
var locales = []locale{
	{46, "United States", "US", "en_US", "1", "America/Chicago", "%[2]d %[1]s",
		[]string{"Olivia", "Liam", "Emma", "Noah", "Ava", "Elijah", "Sophia", "James", "Mia", "Benjamin", "Harper", "Lucas", "Evelyn", "Mateo", "Abigail", "Theo", "D'Andre|dandre", "Mary-Kate|marykate"},
		[]string{"Smith", "Johnson", "Williams", "Brown", "Garcia", "Miller", "Davis", "Martinez", "O'Brien|obrien", "Wilson", "Anderson", "Thomas", "Moore", "Jackson", "Lee", "Thompson", "Van Der Berg|vanderberg", "Clark"},
		[]string{"North Wells Street", "Maple Avenue", "Oak Street", "Lakeview Drive", "Martin Luther King Jr. Boulevard", "Second Street, Apt. 4B"},
		[]town{{"Chicago", "IL", "606%02d"}, {"Austin", "TX", "787%02d"}, {"Portland", "OR", "972%02d"}, {"Boston", "MA", "021%02d"}, {"Denver", "CO", "802%02d"}, {"San José", "CA", "951%02d"}}},
	{12, "United Kingdom", "GB", "en_GB", "44", "Europe/London", "%[2]d %[1]s",
		[]string{"Oliver", "Amelia", "George", "Isla", "Harry", "Ava", "Siân|sian", "Freya", "Alfie", "Poppy"},
		[]string{"Taylor", "Davies", "Evans", "Patel", "Wright", "Robinson", "MacLeod|macleod", "Hughes", "Featherstonehaugh", "Khan"},
		[]string{"High Street", "Station Road", "Victoria Terrace", "Mill Lane", "Queens Crescent"},
		[]town{{"London", "", "SW1A %dAA"}, {"Leeds", "West Yorkshire", "LS1 %dBB"}, {"Cardiff", "", "CF10 %dCD"}, {"Inverness", "", "IV1 %dEF"}}},
	{11, "Germany", "DE", "de", "49", "Europe/Berlin", "%[1]s %[2]d",
		[]string{"Jürgen|juergen", "Anna", "Björn|bjoern", "Käthe|kaethe", "Lukas", "Mia", "Jo\u0308rg|joerg", "Sabine"},
		[]string{"Müller|mueller", "Schmidt", "Groß|gross", "Scho\u0308nfeld|schoenfeld", "Weber", "Öztürk|oeztuerk", "Leutheusser-Schnarrenberger|leutheusser"},
		[]string{"Hauptstraße", "Lindenallee", "Am Alten Markt", "Goethestraße"},
		[]town{{"Köln", "Nordrhein-Westfalen", "506%02d"}, {"München", "Bayern", "803%02d"}, {"Berlin", "Berlin", "101%02d"}, {"Düsseldorf", "Nordrhein-Westfalen", "402%02d"}}},
	{8, "France", "FR", "fr", "33", "Europe/Paris", "%[2]d %[1]s",
		[]string{"Chloé|chloe", "Gabriel", "Zoe\u0308|zoe", "Jean-François|jeanfrancois", "Inès|ines", "Raphaël|raphael"},
		[]string{"Lefèvre|lefevre", "Martin", "D'Arc|darc", "Be\u0301renger|berenger", "Moreau", "Çelik|celik"},
		[]string{"rue de la République", "avenue Victor-Hugo", "place de l'Hôtel-de-Ville", "chemin des Vignes"},
		[]town{{"Lyon", "", "690%02d"}, {"Paris", "", "750%02d"}, {"Besançon", "", "250%02d"}}},
	{7, "Japan", "JP", "ja", "81", "Asia/Tokyo", "%s%d番地",
		[]string{"美咲|misaki", "太郎|taro", "さくら|sakura", "翔太|shota", "結衣|yui", "ケンジ|kenji"},
		[]string{"佐藤|sato", "鈴木|suzuki", "高橋|takahashi", "渡邉|watanabe", "齋藤|saito", "𠮷田|yoshida"},
		[]string{"千代田区丸の内", "中央区銀座", "北区赤羽西", "左京区吉田本町"},
		[]town{{"東京", "東京都", "100-00%02d"}, {"京都市", "京都府", "606-85%02d"}, {"札幌市", "北海道", "060-00%02d"}}},
	{5, "China", "CN", "zh_CN", "86", "Asia/Shanghai", "%s%d号",
		[]string{"伟|wei", "芳|fang", "秀英|xiuying", "敏|min", "静|jing"},
		[]string{"王|wang", "李|li", "张|zhang", "刘|liu", "欧阳|ouyang"},
		[]string{"中山路", "人民大街", "解放东路"},
		[]town{{"上海", "上海市", "2000%02d"}, {"成都", "四川省", "6100%02d"}}},
	{5, "Egypt", "EG", "ar", "20", "Africa/Cairo", "%s %d",
		[]string{"محمد|mohamed", "فاطمة|fatma", "أحمد|ahmed", "نور|nour", "يوسف|youssef"},
		[]string{"الزهراء|alzahraa", "عبد الرحمن|abdelrahman", "حسن|hassan", "السيد|elsayed"},
		[]string{"شارع النيل", "شارع التحرير", "طريق الهرم"},
		[]town{{"القاهرة", "محافظة القاهرة", "115%02d"}, {"الإسكندرية", "محافظة الإسكندرية", "215%02d"}}},
	{6, "Vietnam", "VN", "vi", "84", "Asia/Ho_Chi_Minh", "%[2]d %[1]s",
		[]string{"Thị Hương|huong", "Va\u0306n Đư\u0301c|duc", "Minh", "Ngọc Ánh|anh"},
		[]string{"Nguyễn|nguyen", "Trâ\u0300n|tran", "Phạm|pham", "Đặng|dang"},
		[]string{"Đường Lê Lợi", "Phố Hàng Bạc", "Đường Nguyễn Huệ"},
		[]town{{"Hà Nội", "", "1000%02d"}, {"Đà Nẵng", "", "5500%02d"}}},
}

// areaCodes are those whose 555-01xx numbers the generated customers have; 312 is left out for the fixed ones.
var areaCodes = []int{201, 202, 206, 212, 213, 214, 215, 216, 303, 305, 310, 313, 314, 404, 407, 410, 412, 415, 416, 469, 502, 503, 504, 512, 602, 612, 615, 617, 619, 702, 703, 713, 718, 720, 757, 773, 801, 804, 816, 832, 847, 858, 901, 904, 916, 917, 919, 954, 971, 972}

var (
	emoji       = []string{"🌻", "👩‍💻", "🐈‍⬛", "🎉", "🇧🇷"}
	mailDomains = []string{"example.com", "example.org", "example.net", "mail.example", "post.example"}
	titles      = []string{"Software Engineer", "Head of Purchasing", "Nurse", "Owner", "Teacher", "Vice President, Operations", "Student", "Retired"}
	departments = []string{"Operations", "Purchasing", "Finance", "Human Resources", "Engineering"}
	companies   = []string{"Northwind Traders", "Contoso GmbH", "Fabrikam, Inc.", "Litware & Söhne", "Tailspin Toys", "Adventure Works"}
	sources     = []string{"Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Store", "Other"}
	tiers       = []string{"Bronze", "Silver", "Gold", "Platinum"}
	stores      = []string{"Chicago Loop", "Köln Dom", "London Covent Garden", "Lyon Part-Dieu", "Tokyo Ginza"}
	channels    = []string{"E-mail", "SMS", "Post", "Phone"}
	notes       = []string{
		"Prefers to be called after 18:00.",
		"Asked twice for a corrected invoice; \"please use the company's name\".",
		"Moved house; new address confirmed by phone.",
		"Collects loyalty points for the whole household and wants them on one card.",
		"Complained about a late delivery, settled with a 20 % voucher.",
		"Imported from the till system; fields may be cut off at forty chara",
		"Allergic to peanuts <told the staff on site>.",
		"Line one\r\nLine two, with a\ttab.",
		"Wants no advertising by post & none by phone.",
	}
)
